# shellcheck shell=dash
# An IPv6 address: ip=auto6 (router advertisements, by the kernel itself) and ip=dhcp6 (udhcpc6, where the busybox has it).
# Neither says where the root is: nfsroot=[ADDRESS]:/PATH has to.

# find_address6 INTERFACE: sets address6 to ADDRESS/LENGTH, the first global one that the kernel has found to be its own
# (net/ipv6/addrconf.c, if_inet6: address, index, length, scope, flags, device; the numbers in hexadecimal).
find_address6() {
    local address length scope flags device
    address6=
    [ -r /proc/net/if_inet6 ] || return 1
    while read -r address _ length scope flags device; do
        [ "$device" = "$1" ] && [ "$scope" = 00 ] || continue
        # Tentative (0x40), or found to be another's (0x08).
        [ $((0x$flags & 0x48)) -eq 0 ] || continue
        address6=
        while [ -n "$address" ]; do
            address6=$address6${address6:+:}${address%"${address#????}"}
            address=${address#????}
        done
        address6=$address6/$((0x$length))
        return 0
    done < /proc/net/if_inet6
    return 1
}
address6=

# ask_dhcp6 INTERFACE: one round.
ask_dhcp6() {
    env -i PATH=/bin LC_ALL=C udhcpc6 -f -n -q -t "$dhcp_tries" -T "$dhcp_pause" -i "$1" -s /lib/pxeinit/dhcp-event \
        >> "$run_dir/udhcpc.log" 2>&1
    lease_interface=$1
    read_lease address6
    [ -n "$lease_value" ] || return 1
    ip -6 addr add "$lease_value" dev "$1" || return 1
}

# take_ipv6: waits for an address on any linked interface. Sets lease_interface.
take_ipv6() {
    local name told=no
    if [ "$ip_mode" = dhcp6 ] && ! command -v udhcpc6 > /dev/null; then
        warn "ip=dhcp6: this image's busybox has no udhcpc6; router advertisements are waited for, as with ip=auto6"
        ip_mode=auto6
    fi
    say "lease: waiting for an IPv6 address on $linked"
    begin_wait
    while :; do
        for name in $linked; do
            mkdir -p "$run_dir/lease/$name"
            if [ "$ip_mode" = dhcp6 ] && ask_dhcp6 "$name"; then
                return 0
            fi
            if find_address6 "$name"; then
                lease_interface=$name
                write_lease address6 "$address6"
                return 0
            fi
        done
        tell_wait "an IPv6 address on $linked"
        if [ $told = no ] && [ $elapsed -ge $network_bootif_link ]; then
            told=yes
            report PXE-INIT-lease-none "no IPv6 address on $linked after $elapsed s" \
                "no router advertises a prefix there (with the flag for autonomous addresses), or no DHCPv6 server answers" \
                "look at the router; ip=dhcp asks for an IPv4 address"
        fi
        if must_give_up && [ $elapsed -ge $network_give_up ]; then
            return 1
        fi
        usleep 200000
        look_for_links
    done
}
