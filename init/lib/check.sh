# shellcheck shell=dash
# Allow-lists: what a value from outside must look like before anything else sees it. All are builtins, so that they cost
# nothing, and none of them prints.
#
# No backslash within brackets: musl's fnmatch(3) takes it for a character of its own there, and "\]" for the end.

blank=' '

# is_number VALUE: decimal digits, at most ten.
is_number() {
    case $1 in
        '' | *[!0-9]* | ???????????*) return 1 ;;
    esac
}

# is_seconds VALUE: a whole number, possibly negative (panic=).
is_seconds() {
    is_number "${1#-}"
}

# is_ipv4 VALUE: dotted quad, no leading zeros.
is_ipv4() {
    local rest="$1." part count=0
    while [ -n "$rest" ]; do
        part=${rest%%.*}
        rest=${rest#*.}
        case $part in
            '' | *[!0-9]* | ????* | 0?*) return 1 ;;
        esac
        [ "$part" -le 255 ] || return 1
        count=$((count + 1))
        [ $count -le 4 ] || return 1
    done
    [ $count -eq 4 ]
}

# is_host_ipv4 VALUE: an address that a single host can have.
is_host_ipv4() {
    is_ipv4 "$1" || return 1
    case $1 in
        0.* | 127.* | 22[4-9].* | 2[3-5]?.*) return 1 ;;
    esac
}

# is_ipv6 VALUE: only the characters and the rough shape; the kernel has the last word.
is_ipv6() {
    case $1 in
        *[!0-9a-fA-F:.]* | *:::*) return 1 ;;
        *:*:*) [ ${#1} -le 45 ] ;;
        *) return 1 ;;
    esac
}

# is_host_ipv6 VALUE: an address that a single host can have, and that others reach: no multicast, no loopback, no link-local.
is_host_ipv6() {
    is_ipv6 "$1" || return 1
    case $1 in
        [fF][fF]* | [fF][eE][89abAB]?:*) return 1 ;;
    esac
    # Nothing but zeros, or these and a one at the end: written short or in full.
    case ${1%1} in
        *[!0:]*) ;;
        *) return 1 ;;
    esac
}

# is_hostname VALUE: RFC 1123 labels, at most 253 characters.
is_hostname() {
    local rest="$1." label
    case $1 in
        '' | *[!a-zA-Z0-9.-]* | .* | *..*) return 1 ;;
    esac
    [ ${#1} -le 253 ] || return 1
    while [ -n "$rest" ]; do
        label=${rest%%.*}
        rest=${rest#*.}
        case $label in
            '') [ -z "$rest" ] || return 1 ;;
            -* | *-) return 1 ;;
        esac
        [ ${#label} -le 63 ] || return 1
    done
}

# is_path VALUE: absolute, no ".." component, no character that a mount option or a shell could misread.
is_path() {
    case $1 in
        *[!a-zA-Z0-9/._@%+=:~$blank-]*) return 1 ;;
        */../* | */..) return 1 ;;
        /*) [ ${#1} -le 1024 ] ;;
        *) return 1 ;;
    esac
}

# is_mount_options VALUE: comma-separated words of nfs(5).
is_mount_options() {
    case $1 in
        *[!a-zA-Z0-9_.,=:-]*) return 1 ;;
    esac
    [ ${#1} -le 512 ]
}

# is_mtu VALUE: of an Ethernet frame; less than 576 bytes no IPv4 host has to accept.
is_mtu() {
    is_number "$1" && [ "$1" -ge 576 ] && [ "$1" -le 65535 ]
}

# is_route VALUE: "NET/LENGTH,GATEWAY", the gateway 0.0.0.0 being the interface itself.
is_route() {
    local length=${1#*/}
    length=${length%%,*}
    case $1 in
        */*,*) is_ipv4 "${1%%/*}" && is_number "$length" && [ "$length" -le 32 ] && is_ipv4 "${1#*,}" ;;
        *) return 1 ;;
    esac
}

# is_interface VALUE: as the kernel's dev_valid_name, but stricter.
is_interface() {
    case $1 in
        '' | . | .. | *[!a-zA-Z0-9_.-]* | -* | ????????????????*) return 1 ;;
    esac
}

# is_vendor VALUE: a DHCP vendor class (option 60), printable and without blanks.
is_vendor() {
    case $1 in
        '' | -* | *[!a-zA-Z0-9:._/-]*) return 1 ;;
    esac
    [ ${#1} -le 128 ]
}

# is_client_id VALUE: mac, none, or the bytes of option 61 in hexadecimal, two at least (RFC 2132).
is_client_id() {
    case $1 in
        mac | none) return 0 ;;
        ???? | ????*) ;;
        *) return 1 ;;
    esac
    case $1 in
        *[!0-9a-fA-F]*) return 1 ;;
    esac
    [ $((${#1} % 2)) -eq 0 ] && [ ${#1} -le 128 ]
}

# is_netconsole VALUE: netconsole.rst's [+][r][PORT]@[ADDRESS]/[DEVICE],[PORT]@ADDRESS/[MAC].
is_netconsole() {
    case $1 in
        *[!a-zA-Z0-9.:@/,+_-]*) return 1 ;;
        *@*/*,*@*/*) [ ${#1} -le 200 ] ;;
        *) return 1 ;;
    esac
}

# is_mac VALUE: six lower- or upper-case hexadecimal pairs with colons.
is_mac() {
    local hex='[0-9a-fA-F][0-9a-fA-F]'
    # shellcheck disable=SC2254  # the pattern is meant
    case $1 in
        $hex:$hex:$hex:$hex:$hex:$hex) ;;
        *) return 1 ;;
    esac
}
