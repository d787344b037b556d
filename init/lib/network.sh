# shellcheck shell=dash
# Phase network: which interfaces there are, up, and a link on at least one of them.

network_wait_nic=5     # seconds until the absence of any interface is reported
network_end_nic=30     # seconds until it is a failure
network_bootif_nic=15  # seconds that BOOTIF's interface has to appear, before the others are taken
network_wait_link=10   # seconds until the absence of a link is reported
network_bootif_link=30 # seconds that BOOTIF's interface has to get one, before the others are taken
network_give_up=60     # seconds until it is a failure where panic= asks for one
network_bootif=yes     # is BOOTIF's interface alone still?

# list_interfaces: sets interfaces to the Ethernet devices with hardware behind them and those of vlan= and bond=, but not
# what these are made of; BOOTIF's or ip='s alone if named.
list_interfaces() {
    local path name type address
    interfaces=
    for path in /sys/class/net/*; do
        name=${path##*/}
        is_interface "$name" || continue
        is_candidate "$name" || continue
        type=
        IFS= read -r type < "$path/type" || continue
        [ "$type" = 1 ] || continue
        [ ! -e "$path/phy80211" ] || continue
        if [ -n "$param_bootif" ] && [ $network_bootif = yes ]; then
            address=
            IFS= read -r address < "$path/address" || :
            [ "$address" = "$param_bootif" ] || continue
        fi
        if [ -n "$ip_device" ] && [ "$ip_device" != "$name" ]; then
            continue
        fi
        interfaces="$interfaces $name"
    done
    interfaces=${interfaces# }
}
interfaces=

# is_candidate NAME: hardware, or made by us; what ip= names is taken in any case.
is_candidate() {
    [ "$ip_device" != "$1" ] || return 0
    case $link_members in
        *" $1 "*) return 1 ;;
    esac
    case $link_made in
        *" $1 "*) return 0 ;;
    esac
    [ -e "/sys/class/net/$1/device" ]
}

# widen_bootif WHY: the other interfaces too, if there are any; BOOTIF may name a card that leads nowhere (a loader's
# configuration that was copied, a card that was exchanged).
widen_bootif() {
    local before="$interfaces"
    if [ -z "$param_bootif" ] || [ $network_bootif = no ]; then
        return 1
    fi
    network_bootif=no
    list_interfaces
    if [ "$interfaces" = "$before" ]; then
        network_bootif=yes
        return 1
    fi
    warn "BOOTIF=$param_bootif $1: the other interfaces are taken too ($interfaces)"
}

# describe_devices: sets described to the network controllers on PCI, driven or not, for the message.
describe_devices() {
    local device class vendor product driver
    described=
    for device in /sys/bus/pci/devices/*; do
        class=
        { IFS= read -r class < "$device/class"; } 2>/dev/null || continue
        case $class in 0x02*) ;; *) continue ;; esac
        vendor= product=
        IFS= read -r vendor < "$device/vendor" || :
        IFS= read -r product < "$device/device" || :
        driver='no driver'
        [ ! -e "$device/driver" ] || driver=driven
        described="$described ${device##*/} [${vendor#0x}:${product#0x}] $driver;"
    done
    described=${described% ;}
    [ -n "$described" ] || described=' no PCI network controller is visible'
}

# raise_interfaces: up with each of them; those with a link get into linked.
raise_interfaces() {
    local name
    for name in $interfaces; do
        case $raised in
            *" $name "*) ;;
            *)
                ip link set "$name" up 2>/dev/null && raised="$raised$name "
                ;;
        esac
    done
}
raised=' '

# list_linked: sets linked to the interfaces that have a carrier now.
list_linked() {
    local name carrier
    linked=
    for name in $interfaces; do
        carrier=0
        { IFS= read -r carrier < "/sys/class/net/$name/carrier"; } 2>/dev/null || carrier=0
        [ "$carrier" != 1 ] || linked="$linked $name"
    done
    linked=${linked# }
}
linked=

# report_no_nic: with what there is on PCI.
report_no_nic() {
    local named="${param_bootif:-$ip_device}"
    describe_devices
    if [ -n "$named$link_made" ] && [ "$named$link_made" != ' ' ]; then
        report PXE-INIT-network-no-nic "no interface is ${named:-${link_made# }}" \
            "the loader or the command line names it; on PCI there is:$described" \
            "check BOOTIF=, ip=, vlan= and bond=, or build the image with the driver that is missing (mkpxeinit build --driver NAME)"
    else
        report PXE-INIT-network-no-nic "no Ethernet interface" \
            "on PCI there is:$described" \
            "build the image with the driver (mkpxeinit build --driver NAME), or check the machine's firmware settings"
    fi
}

# wait_interfaces: until there is one, or network_end_nic is over. Buses that are slow to show their devices (USB) are
# looked at again and again.
wait_interfaces() {
    local told=no
    begin_wait
    while :; do
        make_links
        list_interfaces
        [ -z "$interfaces" ] || return 0
        tell_wait "an Ethernet interface"
        if [ $told = no ] && [ $elapsed -ge $network_wait_nic ]; then
            told=yes
            report_no_nic
        fi
        if [ $elapsed -ge $network_bootif_nic ] && widen_bootif "has no interface after $elapsed s"; then
            return 0
        fi
        [ $elapsed -lt $network_end_nic ] || return 1
        nap 100000
        load_bus_drivers
    done
}

# look_for_links: all that may have changed: interfaces that appeared, links that came.
look_for_links() {
    make_links
    list_interfaces
    raise_interfaces
    list_linked
}

# wait_link: until an interface has one. Reported once with its code, repeated as a line now and then.
wait_link() {
    local told=no
    begin_wait
    while :; do
        look_for_links
        [ -z "$linked" ] || return 0
        tell_wait "a link on $interfaces"
        if [ $told = no ] && [ $elapsed -ge $network_wait_link ]; then
            told=yes
            report PXE-INIT-network-no-link "no link on $interfaces after $elapsed s" \
                "no cable, a switch port that is off, or a slow negotiation" \
                "look at the cable and the port's lamp"
        fi
        if [ $elapsed -ge $network_bootif_link ] && widen_bootif "has no link after $elapsed s"; then
            continue
        fi
        if must_give_up && [ $elapsed -ge $network_give_up ]; then
            return 1
        fi
        nap 50000
        # Nothing but a link is missing in most cases, and that comes soon.
        [ $elapsed -lt 1 ] || load_bus_drivers
    done
}

phase_network() {
    link_refused=' '
    network_bootif=yes
    ip link set lo up
    read_ip_param
    wait_interfaces || return 1
    wait_link || return 1
    say "network: link on $linked"
}
