# shellcheck shell=dash
# The kernel command line, and /etc/cmdline of the image before it: words become param_ variables, by an explicit list and
# after a check. docs/client.md describes each.

param_root=
param_nfsroot=
param_ip=
param_bootdev=
param_nameserver=
param_bootif=
param_netconsole=
param_init=
param_panic=
param_quiet=no
param_mode=farm
param_dev=auto
param_farm=bind
param_switch=auto
param_break=
param_shell=no
param_debug=no
param_arp=yes
param_vendor=
param_clientid=mac
param_clients=
param_squashfs=
param_group=
param_report=

# drop_param NAME VALUE WHY: a warning that quotes what it does not take.
drop_param() {
    quote_safely "$2"
    warn "$1=$quoted is ignored: $3"
}

# take_choice NAME VALUE CHOICE...: succeeds if VALUE is one of the choices, else warns.
take_choice() {
    local name="$1" value="$2" choice
    shift 2
    for choice; do
        [ "$value" != "$choice" ] || return 0
    done
    drop_param "$name" "$value" "it takes one of: $*"
    return 1
}

# take_param WORD: one word of the command line.
take_param() {
    local value="${1#*=}"
    case $1 in
        root=*) param_root=$value ;;
        nfsroot=*) param_nfsroot=$value ;;
        ip=*) take_ip "$value" ;;
        bootdev=*)
            if is_interface "$value"; then param_bootdev=$value; else drop_param bootdev "$value" "not an interface's name"; fi
            ;;
        vlan=*) take_vlan "$value" ;;
        bond=*) take_bond "$value" ;;
        bond) take_bond '' ;;
        netconsole=*)
            if is_netconsole "$value"; then param_netconsole=$value; else drop_param netconsole "$value" "not the kernel's form"; fi
            ;;
        nameserver=*)
            if is_ipv4 "$value" || is_ipv6 "$value"; then
                param_nameserver="$param_nameserver $value"
            else
                drop_param nameserver "$value" "not an address"
            fi
            ;;
        BOOTIF=*) take_bootif "$value" ;;
        init=*)
            if is_path "$value"; then param_init=$value; else drop_param init "$value" "not an absolute path"; fi
            ;;
        panic=*)
            if is_seconds "$value"; then param_panic=$value; else drop_param panic "$value" "not a number of seconds"; fi
            ;;
        quiet) param_quiet=yes ;;
        debug) param_debug=yes ;;
        pxeinit.*) take_own_param "${1#pxeinit.}" "$value" ;;
        *.*) take_module_param "$1" ;;
    esac
}

# take_own_param WORD VALUE: what stands behind "pxeinit.".
take_own_param() {
    case $1 in
        mode=*) take_choice pxeinit.mode "$2" farm overlay ro rw && param_mode=$2 ;;
        dev=*) take_choice pxeinit.dev "$2" auto devtmpfs tar copy && param_dev=$2 ;;
        farm=*) take_choice pxeinit.farm "$2" bind symlink && param_farm=$2 ;;
        switch=*) take_choice pxeinit.switch "$2" auto switch_root pivot_root && param_switch=$2 ;;
        clients=*) take_clients "$2" ;;
        squashfs=*) take_squashfs "$2" ;;
        group=*)
            if is_hostname "$2"; then param_group=$2; else drop_param pxeinit.group "$2" "not a name"; fi
            ;;
        report=*) take_report "$2" ;;
        break=*)
            # shellcheck disable=SC2086  # a list of words
            take_choice pxeinit.break "$2" $phase_names && param_break=$2
            ;;
        arp=*) take_choice pxeinit.arp "$2" yes no && param_arp=$2 ;;
        vendor=*)
            if is_vendor "$2"; then param_vendor=$2; else drop_param pxeinit.vendor "$2" "not a vendor class"; fi
            ;;
        clientid=*)
            if is_client_id "$2"; then param_clientid=$2; else drop_param pxeinit.clientid "$2" "it takes mac, none or hexadecimal digits"; fi
            ;;
        shell) param_shell=yes ;;
        debug) param_debug=yes ;;
        *)
            quote_safely "pxeinit.$1"
            warn "unknown parameter $quoted"
            ;;
    esac
    return 0
}
phase_names="early drivers network lease root writable tree handoff switch"

# take_ip VALUE: all of one line count; those of the loader's line replace those of the image's.
take_ip() {
    case $1 in
        *[!][a-zA-Z0-9.:_-]*)
            drop_param ip "$1" "not the kernel's form"
            return 0
            ;;
    esac
    [ "$param_ip_file" = "$param_file" ] || param_ip=
    param_ip_file=$param_file
    param_ip="$param_ip${param_ip:+ }$1"
}
param_file= param_ip_file=
# take_clients VALUE: a folder of the tree, or another export; phase tree takes the latter apart.
take_clients() {
    case $1 in
        # A colon separates the layers of an overlay.
        /*:*) false ;;
        /*) is_path "$1" ;;
        *:/*) ;;
        *) false ;;
    esac && param_clients=$1 && return 0
    drop_param pxeinit.clients "$1" "neither /PATH nor SERVER:/PATH"
}

# take_squashfs VALUE: the path of a file below the export.
take_squashfs() {
    case $1 in
        '' | / | */) false ;;
        *) is_path "/${1#/}" ;;
    esac && param_squashfs=${1#/} && return 0
    drop_param pxeinit.squashfs "$1" "not the path of a file, without .. and without unusual characters"
}

# take_bootif VALUE: pxelinux writes 01-52-54-00-12-34-56, the hardware type and the address.
take_bootif() {
    local rest="${1#01-}" mac=
    while [ -n "$rest" ]; do
        mac="$mac${mac:+:}${rest%%-*}"
        case $rest in
            *-*) rest=${rest#*-} ;;
            *) rest= ;;
        esac
    done
    # GRUB's users write it with colons.
    if is_mac "$mac"; then
        lower_mac "$mac"
        param_bootif=$lowered
    else
        drop_param BOOTIF "$1" "not an Ethernet address"
    fi
}

# lower_mac MAC: sets lowered; the kernel shows addresses in lower case.
lower_mac() {
    local rest="$1" char
    lowered=
    while [ -n "$rest" ]; do
        char=${rest%"${rest#?}"}
        rest=${rest#?}
        case $char in
            A) char=a ;; B) char=b ;; C) char=c ;; D) char=d ;; E) char=e ;; F) char=f ;;
        esac
        lowered=$lowered$char
    done
}

# read_command_line LINE: splits at blanks as the kernel does, where double quotes hold blanks together; stops at "--".
read_command_line() {
    local rest="$1" word chunk
    while :; do
        rest=${rest#"${rest%%[! 	]*}"}
        [ -n "$rest" ] || return 0
        word=
        while :; do
            chunk=${rest%%[ 	\"]*}
            word=$word$chunk
            rest=${rest#"$chunk"}
            case $rest in
                '"'*) ;;
                *) break ;;
            esac
            rest=${rest#?}
            chunk=${rest%%\"*}
            word=$word$chunk
            rest=${rest#"$chunk"}
            rest=${rest#\"}
        done
        [ "$word" != -- ] || return 0
        take_param "$word"
    done
}

# read_params: the image's own line first, so that the loader's has the last word.
read_params() {
    local file line
    for file in /etc/cmdline /proc/cmdline; do
        [ -r "$file" ] || continue
        param_file=$file
        line=
        # A last line without a newline is a line too.
        IFS= read -r line < "$file" || :
        read_command_line "$line"
    done
}
