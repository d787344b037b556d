# shellcheck shell=dash
# Phase network: which interfaces there are, up, and a link on at least one of them.

network_wait_nic=5   # seconds until the absence of any interface is a failure
network_wait_link=10 # seconds until the absence of a link is reported
network_give_up=60   # seconds until it is a failure where panic= asks for one

# list_interfaces: sets interfaces to the Ethernet devices with hardware behind them, BOOTIF's or ip='s alone if named.
list_interfaces() {
    local path name type address
    interfaces=
    for path in /sys/class/net/*; do
        name=${path##*/}
        is_interface "$name" || continue
        [ -e "$path/device" ] || continue
        type=
        IFS= read -r type < "$path/type" || continue
        [ "$type" = 1 ] || continue
        [ ! -e "$path/phy80211" ] || continue
        if [ -n "$param_bootif" ]; then
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

# seconds_since UPTIME: sets elapsed, in whole seconds.
seconds_since() {
    read_uptime
    elapsed=$((${uptime_now%.*} - ${1%.*}))
}

# wait_interfaces: until there is one, or network_wait_nic is over. Buses that are slow to show their devices (USB) are
# looked at again and again.
wait_interfaces() {
    local since
    read_uptime
    since=$uptime_now
    while :; do
        list_interfaces
        [ -z "$interfaces" ] || return 0
        seconds_since "$since"
        [ $elapsed -lt $network_wait_nic ] || return 1
        usleep 100000
        load_bus_drivers
    done
}

# wait_link: until an interface has one. Reported once with its code, repeated as a line now and then.
wait_link() {
    local since next=$network_wait_link told=no
    read_uptime
    since=$uptime_now
    while :; do
        raise_interfaces
        list_linked
        [ -z "$linked" ] || return 0
        seconds_since "$since"
        if [ $elapsed -ge $next ]; then
            if [ $told = no ]; then
                told=yes
                report PXE-INIT-network-no-link "no link on $interfaces after $elapsed s" \
                    "no cable, a switch port that is off, or a slow negotiation" \
                    "look at the cable and the port's lamp"
            else
                say_always "still waiting for a link on $interfaces ($elapsed s)"
            fi
            next=$((elapsed + 30))
        fi
        if must_give_up && [ $elapsed -ge $network_give_up ]; then
            return 1
        fi
        usleep 50000
        list_interfaces
    done
}

phase_network() {
    ip link set lo up
    read_ip_param
    if ! wait_interfaces; then
        describe_devices
        if [ -n "$param_bootif$ip_device" ]; then
            report PXE-INIT-network-no-nic "no interface is ${param_bootif:-$ip_device}" \
                "the loader or the command line names it; on PCI there is:$described" \
                "check BOOTIF= and ip=, or build the image with the driver that is missing (mkpxeinit build --module NAME)"
        else
            report PXE-INIT-network-no-nic "no Ethernet interface" \
                "on PCI there is:$described" \
                "build the image with the driver (mkpxeinit build --module NAME), or check the machine's firmware settings"
        fi
        return 1
    fi
    wait_link || return 1
    say "network: link on $linked"
}
