# shellcheck shell=dash
# An IPv6 address: ip=auto6 (router advertisements, by the kernel itself) and ip=dhcp6 (udhcpc6, where the busybox has it).
# Neither says where the root is: nfsroot=SERVER:/PATH has to.

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

# run_udhcpc6 INTERFACE: becomes udhcpc6, for one round. To be started in the background.
run_udhcpc6() {
    exec env -i PATH=/bin LC_ALL=C udhcpc6 -f -n -q -t "$dhcp_tries" -T "$dhcp_pause" -A 3 -i "$1" \
        -s /lib/pxeinit/dhcp-event -O dns -O search > "$run_dir/udhcpc.$1" 2>&1
}

# judge_leases6: sets lease_interface to the first interface that has an address.
judge_leases6() {
    local name
    for name in $linked; do
        [ -s "$run_dir/lease/$name/address6" ] || continue
        lease_interface=$name
        return 0
    done
    return 1
}

# ask_dhcp6: a round on every linked interface at once.
ask_dhcp6() {
    local name pids=''
    read_uptime
    round_since=$uptime_now
    lease_interface=
    for name in $linked; do
        rm -rf "$run_dir/lease/$name"
        run_udhcpc6 "$name" &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086  # a list of numbers
    wait_round judge_leases6 "a DHCPv6 answer on $linked" $pids || return 1
    read_lease address6
    if ! ip -6 addr add "$lease_value" dev "$lease_interface"; then
        warn "the kernel refuses the address $lease_value on $lease_interface"
        return 1
    fi
    settle_address6 "${lease_value%/*}" || return 1
    read_lease lease-seconds
    [ -n "$lease_value" ] \
        || warn "the DHCPv6 lease of $lease_interface has an end and is not renewed: nobody else must get its address"
}

# settle_address6 ADDRESS: until the kernel has found that it is nobody else's (RFC 4862: a second or two); before, nothing
# is sent from it.
settle_address6() {
    local left=50
    until find_address6 "$lease_interface"; do
        left=$((left - 1))
        if [ $left -eq 0 ]; then
            report PXE-INIT-lease-duplicate "the address $1 is in use on $lease_interface" \
                "the DHCPv6 server gave it, and the kernel has not found it to be free" \
                "look for the machine that has it already, and at the server's list of leases"
            ip -6 addr del "$1/128" dev "$lease_interface"
            return 1
        fi
        nap 100000
    done
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
        if [ "$ip_mode" = dhcp6 ] && ask_dhcp6; then
            return 0
        fi
        for name in $linked; do
            mkdir -p "$run_dir/lease/$name"
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
        nap 200000
        look_for_links
    done
}
