# shellcheck shell=dash
# The kernel's netconsole= is a module's parameter where netconsole is a module: it is loaded when there is an address.

netconsole_started=no

# fill_netconsole VALUE: sets netconsole to it, with the interface of the lease where it names none; the kernel would take
# eth0.
fill_netconsole() {
    local before="${1%%/*}" rest="${1#*/}"
    case $rest in
        ,*) netconsole=$before/$lease_interface$rest ;;
        *) netconsole=$1 ;;
    esac
}
netconsole=

# start_netconsole: once; the boot goes on without it.
start_netconsole() {
    [ -n "$param_netconsole" ] && [ $netconsole_started = no ] || return 0
    netconsole_started=yes
    fill_netconsole "$param_netconsole"
    if modprobe netconsole netconsole="$netconsole"; then
        say "lease: the kernel's messages go to netconsole=$netconsole"
    else
        warn "netconsole=$netconsole was not started: no module in the image, or an address that the kernel does not take"
    fi
}
