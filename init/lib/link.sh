# shellcheck shell=dash
# Interfaces that the kernel makes of others: vlan= and bond=, in dracut's syntax (dracut.cmdline(7)). What they are made
# of is not asked for an address itself, unless ip= names it.

link_vlans=      # checked, NAME:PARENT:ID, blank-separated
link_bonds=      # checked, NAME:MEMBER,MEMBER:OPTION,OPTION:MTU
link_made=' '    # the names of both
link_members=' ' # what they are made of
link_refused=' ' # those that the kernel did not make or take, told once

# take_vlan NAME:PARENT: the number stands at the end of NAME (vlan0005, vlan5, eth0.0005, eth0.5).
take_vlan() {
    local name="${1%%:*}" parent="${1#*:}" id
    id=${name##*[!0-9]}
    id=${id#"${id%%[!0]*}"}
    if ! is_interface "$name" || ! is_interface "$parent" || [ "$name" = "$1" ] \
        || ! is_number "$id" || [ "$id" -gt 4094 ]; then
        drop_param vlan "$1" "it takes NAME:INTERFACE, NAME ending in a number from 1 to 4094"
        return 0
    fi
    link_vlans="$link_vlans $name:$parent:$id"
    link_made="$link_made$name "
    link_members="$link_members$parent "
}

# take_bond [NAME[:MEMBER,MEMBER[:OPTION,OPTION[:MTU]]]]
take_bond() {
    local rest="$1:::" name members options mtu member
    name=${rest%%:*}; rest=${rest#*:}
    members=${rest%%:*}; rest=${rest#*:}
    options=${rest%%:*}; rest=${rest#*:}
    mtu=${rest%%:*}
    name=${name:-bond0}
    members=${members:-eth0,eth1}
    options=${options:-mode=balance-rr}
    if ! is_interface "$name" || ! is_members "$members" || ! is_bond_options "$options" \
        || { [ -n "$mtu" ] && ! is_mtu "$mtu"; }; then
        drop_param bond "$1" "it takes NAME:INTERFACE,INTERFACE:OPTION=VALUE,OPTION=VALUE:MTU"
        return 0
    fi
    # Without a look at the links, a bond never notices a cable that is out.
    case ,$options in
        *,miimon=* | *,arp_interval=*) ;;
        *) options=$options,miimon=100 ;;
    esac
    # The mode has to stand before the others.
    rest=
    for member in $(split_commas "$options"); do
        case $member in
            mode=*) rest="$member,$rest" ;;
            *) rest="$rest$member," ;;
        esac
    done
    link_bonds="$link_bonds $name:$members:${rest%,}:$mtu"
    link_made="$link_made$name "
    for member in $(split_commas "$members"); do
        link_members="$link_members$member "
    done
}

# split_commas LIST: its words on standard output, with blanks between them. The words are checked, or will be.
split_commas() {
    local rest="$1,"
    while [ -n "$rest" ]; do
        printf '%s ' "${rest%%,*}"
        rest=${rest#*,}
    done
}

# is_members LIST: names of interfaces with commas between them.
is_members() {
    local rest="$1,"
    while [ -n "$rest" ]; do
        is_interface "${rest%%,*}" || return 1
        rest=${rest#*,}
    done
}

# is_bond_options LIST: NAME=VALUE with commas between them, the names being files of bonding's folder in sysfs.
is_bond_options() {
    local rest="$1," option
    case $1 in
        *[!a-zA-Z0-9_=,.\;+-]*) return 1 ;;
    esac
    while [ -n "$rest" ]; do
        option=${rest%%,*}
        rest=${rest#*,}
        case ${option%%=*} in
            '' | *[!a-z0-9_]*) return 1 ;;
        esac
        case $option in
            *=?*) ;;
            *) return 1 ;;
        esac
    done
}

# make_links: whatever can be made now; called again and again until what it is made of has appeared.
make_links() {
    local spec name
    for spec in $link_bonds; do
        name=${spec%%:*}
        [ -e "/sys/class/net/$name" ] || is_refused "$name" || make_bond "$spec"
        [ ! -e "/sys/class/net/$name" ] || join_bond "$spec"
    done
    for spec in $link_vlans; do
        name=${spec%%:*}
        [ -e "/sys/class/net/$name" ] || is_refused "$name" || make_vlan "$spec"
    done
}

# is_refused NAME, refuse_link NAME WHAT: what failed once is not tried again at each look.
is_refused() {
    case $link_refused in
        *" $1 "*) ;;
        *) return 1 ;;
    esac
}
refuse_link() {
    link_refused="$link_refused$1 "
    warn "$2"
}

# make_bond SPEC: the bond without its members; its mode must stand before they come.
make_bond() {
    local name rest option
    name=${1%%:*}
    modprobe -q bonding max_bonds=0 2>/dev/null
    if ! { printf '+%s\n' "$name" > /sys/class/net/bonding_masters; } 2>/dev/null; then
        refuse_link "$name" "the bond $name cannot be made: no bonding in the kernel, nor its module in the image"
        return 0
    fi
    rest=${1#*:*:}
    for option in $(split_commas "${rest%%:*}"); do
        set_bond "/sys/class/net/$name/bonding/${option%%=*}" "${option#*=}"
    done
    if [ -n "${rest#*:}" ]; then
        ip link set "$name" mtu "${rest#*:}" || warn "$name: the kernel refuses the MTU ${rest#*:}"
    fi
    say "network: the bond $name is made"
}

# set_bond FILE VALUE: several addresses of arp_ip_target are added one by one.
set_bond() {
    local value rest="$2;"
    while [ -n "$rest" ]; do
        value=${rest%%;*}
        rest=${rest#*;}
        case $1 in
            */arp_ip_target) value=+$value ;;
        esac
        { [ -w "$1" ] && printf '%s\n' "$value" > "$1"; } 2>/dev/null \
            || warn "bonding does not take ${1##*/}=$value"
    done
}

# join_bond SPEC: those of its members that are there and not in it yet. The kernel takes them only while they are down.
join_bond() {
    local name member rest
    name=${1%%:*}
    rest=${1#*:}
    for member in $(split_commas "${rest%%:*}"); do
        [ -e "/sys/class/net/$member" ] && [ ! -e "/sys/class/net/$member/master" ] || continue
        ! is_refused "$member" || continue
        ip link set "$member" down
        if ! { printf '+%s\n' "$member" > "/sys/class/net/$name/bonding/slaves"; } 2>/dev/null; then
            refuse_link "$member" "the bond $name does not take $member"
        fi
    done
}

# make_vlan SPEC: as soon as its parent is there.
make_vlan() {
    local name parent id
    name=${1%%:*}
    id=${1##*:}
    parent=${1#*:}
    parent=${parent%:*}
    [ -e "/sys/class/net/$parent" ] || return 0
    ip link set "$parent" up
    modprobe -q 8021q 2>/dev/null
    if ip link add link "$parent" name "$name" type vlan id "$id"; then
        say "network: the VLAN $name is made on $parent"
    else
        refuse_link "$name" "the VLAN $name cannot be made: no VLANs in the kernel, nor the module 8021q in the image"
    fi
}
