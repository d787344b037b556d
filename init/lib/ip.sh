# shellcheck shell=dash
# The parameter ip=, in the kernel's forms (nfsroot.rst) and in dracut's (dracut.cmdline(7)). Each is checked once and kept
# as eleven fields between colons, so that it can be loaded again without another word.

ip_mode=dhcp # dhcp, static, auto6 or dhcp6
ip_client= ip_server= ip_gateway= ip_mask= ip_hostname= ip_device= ip_dns= ip_ntp= ip_mtu=
ip_main=     # the fields of the interface that leads to the root
ip_more=     # those of the others, blank-separated

# read_ip_param: all of ip=. The first is for the interface that leads to the root, or the one that bootdev= names.
read_ip_param() {
    local value found=
    ip_main= ip_more=
    # The values are words: param.sh took no other, and a pattern is not meant.
    set -f
    for value in $param_ip; do
        check_ip "$value" || continue
        found="$found $ip_fields"
    done
    set +f
    for value in $found; do
        load_ip "$value"
        if [ -n "$ip_main" ] && { [ -z "$param_bootdev" ] || [ "$ip_device" != "$param_bootdev" ]; }; then
            ip_more="$ip_more $value"
        else
            ip_more="$ip_more $ip_main"
            ip_main=$value
        fi
    done
    load_ip "${ip_main:-::::::dhcp}"
    # Without an ip= of its own, bootdev= is a choice like ip=DEVICE:dhcp.
    [ -n "$ip_device" ] || ip_device=$param_bootdev
}

# load_ip FIELDS: sets the ip_ variables from checked fields.
load_ip() {
    local IFS=:
    set -f
    # shellcheck disable=SC2086  # the fields are meant
    set -- $1
    set +f
    ip_client=${1-} ip_server=${2-} ip_gateway=${3-} ip_mask=${4-} ip_hostname=${5-} ip_device=${6-}
    ip_mode=${7:-dhcp} ip_dns="${8-} ${9-}" ip_ntp=${10-} ip_mtu=${11-}
    # One blank between two addresses, and none beside one.
    ip_dns=${ip_dns% }
    ip_dns=${ip_dns# }
}

# check_ip VALUE: one ip=; sets ip_fields, or fails when nothing in it can be used. What is wrong in a field drops the field.
check_ip() {
    local way
    case $1 in
        *\[*)
            drop_param ip "$1" "IPv6 addresses come by ip=auto6 alone"
            return 1
            ;;
        off | none)
            drop_param ip "$1" "a network root needs an address; DHCP is used"
            return 1
            ;;
        *:*)
            way=${1#*:}
            case ${way%%:*} in
                dhcp | on | any | both | bootp | auto6 | dhcp6 | either6) check_device_ip "$1" ;;
                *) check_kernel_ip "$1" ;;
            esac
            ;;
        *)
            if is_host_ipv4 "$1"; then
                ip_fields="$1::::::static"
                return 0
            fi
            take_way "$1" && ip_fields="::::::$ip_way"
            ;;
    esac
}

# take_way WORD: sets ip_way to dhcp, auto6 or dhcp6.
take_way() {
    case $1 in
        dhcp | on | any | both | bootp) ip_way=dhcp ;;
        auto6) ip_way=auto6 ;;
        dhcp6 | either6) ip_way=dhcp6 ;;
        *)
            drop_param ip "$1" "not a way to get an address"
            return 1
            ;;
    esac
}
ip_way=

# check_device_ip DEVICE:WAY[:MTU[:MAC]]: dracut's form.
check_device_ip() {
    local device="${1%%:*}" rest="${1#*:}" mtu=
    if ! is_interface "$device"; then
        drop_param ip "$1" "not an interface's name"
        return 1
    fi
    take_way "${rest%%:*}" || return 1
    case $rest in
        *:*) take_ip_mtu "${rest#*:}" ;;
        *) ip_mtu= ;;
    esac
    mtu=$ip_mtu
    ip_fields=":::::$device:$ip_way::::$mtu"
}

# take_ip_mtu MTU[:MAC]: sets ip_mtu.
take_ip_mtu() {
    ip_mtu=
    case $1 in
        *:?*) drop_param "ip (its hardware address)" "${1#*:}" "an address is not changed" ;;
    esac
    [ -n "${1%%:*}" ] || return 0
    if is_mtu "${1%%:*}"; then
        ip_mtu=${1%%:*}
    else
        drop_param "ip (its MTU)" "${1%%:*}" "not a number from 576 to 65535"
    fi
}

# next_field: sets ip_field to the first of ip_rest, and takes it away.
next_field() {
    ip_field=${ip_rest%%:*}
    case $ip_rest in
        *:*) ip_rest=${ip_rest#*:} ;;
        *) ip_rest= ;;
    esac
}
ip_field= ip_rest=

# next_checked NAME CHECK WHAT: next_field, emptied with a warning if it is not what it has to be.
next_checked() {
    next_field
    if [ -n "$ip_field" ] && ! "$2" "$ip_field"; then
        drop_param "ip (its $1)" "$ip_field" "$3"
        ip_field=
    fi
}

# check_kernel_ip CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:WAY:DNS:DNS:NTP, any of them empty, the last ones missing.
# dracut's users write MTU[:MAC] where the kernel has its DNS servers.
check_kernel_ip() {
    local client way='' mtu='' before
    ip_rest=$1
    next_checked client is_host_ipv4 "not the address of a host"; client=$ip_field
    next_checked server is_host_ipv4 "not the address of a host"; before=$ip_field
    next_checked gateway is_host_ipv4 "not the address of a host"; before=$before:$ip_field
    next_checked mask is_netmask "not a netmask; 255.255.255.0 is used"; before=$before:$ip_field
    next_checked 'host name' is_hostname "not a host name"; before=$before:$ip_field
    next_checked device is_interface "not an interface's name"; before=$before:$ip_field
    next_field
    case $ip_field in
        '' | off | none | static) [ -z "$client" ] || way=static ;;
        *) take_way "$ip_field" && way=$ip_way ;;
    esac
    if is_number "${ip_rest%%:*}"; then
        take_ip_mtu "$ip_rest"
        mtu=$ip_mtu
        ip_rest=
    fi
    ip_fields=$client:$before:${way:-dhcp}
    next_checked 'DNS server' is_ipv4 "not an address"; ip_fields=$ip_fields:$ip_field
    next_checked 'DNS server' is_ipv4 "not an address"; ip_fields=$ip_fields:$ip_field
    next_checked 'NTP server' is_ipv4 "not an address"; ip_fields=$ip_fields:$ip_field
    [ -z "$ip_rest" ] || drop_param "ip (what follows its NTP server)" "$ip_rest" "the kernel's form has ten fields"
    ip_fields=$ip_fields:$mtu
}
ip_fields=

# is_netmask MASK: without holes.
is_netmask() {
    mask_to_prefix "$1"
}

# mask_to_prefix MASK: sets prefix; fails on a mask with holes.
mask_to_prefix() {
    local rest="$1." part ended=no bits
    prefix=0
    is_ipv4 "$1" || return 1
    while [ -n "$rest" ]; do
        part=${rest%%.*}
        rest=${rest#*.}
        case $part in
            255) bits=8 ;; 254) bits=7 ;; 252) bits=6 ;; 248) bits=5 ;; 240) bits=4 ;;
            224) bits=3 ;; 192) bits=2 ;; 128) bits=1 ;; 0) bits=0 ;;
            *) return 1 ;;
        esac
        if [ $ended = yes ] && [ $bits -ne 0 ]; then
            return 1
        fi
        [ $bits -eq 8 ] || ended=yes
        prefix=$((prefix + bits))
    done
}
