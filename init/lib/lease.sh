# shellcheck shell=dash
# Phase lease: an address, from the command line, by DHCP (dhcp.sh) or by router advertisements (ipv6.sh). All that a server
# says passes through dhcp-event, which keeps one checked value a file in $run_dir/lease/INTERFACE.

lease_interface=
lease_applied=' ' # the interfaces that have been given addresses

# write_lease NAME VALUE: a checked value of a lease that did not come by DHCP.
write_lease() {
    printf '%s\n' "$2" > "$run_dir/lease/$lease_interface/$1"
}

# read_lease NAME: sets lease_value, empty if there is none.
read_lease() {
    lease_value=
    { IFS= read -r lease_value < "$run_dir/lease/$lease_interface/$1"; } 2>/dev/null || :
}

# read_mac: sets lease_mac to the hardware address of lease_interface, empty if it has none.
read_mac() {
    lease_mac=
    { IFS= read -r lease_mac < "/sys/class/net/$lease_interface/address"; } 2>/dev/null || :
    is_mac "$lease_mac" || lease_mac=
}

# take_static: ip= as a lease of lease_interface.
take_static() {
    mkdir -p "$run_dir/lease/$lease_interface"
    mask_to_prefix "${ip_mask:-255.255.255.0}"
    write_lease address "$ip_client"
    write_lease prefix "$prefix"
    take_named
}

# take_named: what ip= says beside the address; it has the last word over a server's.
take_named() {
    [ -z "$ip_gateway" ] || { write_lease router "$ip_gateway" && rm -f "$run_dir/lease/$lease_interface/routes"; }
    [ -z "$ip_server" ] || write_lease next-server "$ip_server"
    [ -z "$ip_hostname" ] || write_lease hostname "$ip_hostname"
    [ -z "$ip_dns" ] || write_lease dns "$ip_dns"
    [ -z "$ip_ntp" ] || write_lease ntp "$ip_ntp"
    [ -z "$ip_mtu" ] || write_lease mtu "$ip_mtu"
}

# check_static: is the address of ip= another's already? (RFC 5227; a probe of a second, if the busybox can.)
check_static() {
    [ "$param_arp" = yes ] && command -v arping > /dev/null || return 0
    # It fails if there was an answer; nothing else may keep a machine from its address.
    arping -q -D -f -c 2 -w 1 -I "$lease_interface" "$ip_client" > /tmp/arping 2>&1
    [ $? -eq 1 ] && [ ! -s /tmp/arping ] || return 0
    report PXE-INIT-lease-duplicate "the address $ip_client is in use on $lease_interface" \
        "another machine answers for it, and ip= gives it to this one" \
        "another address in ip=; pxeinit.arp=no if something answers for every address"
    return 1
}

# forget_address: what an earlier attempt gave to the interface; its routes go with it.
forget_address() {
    case $lease_applied in
        *" $1 "*) ip addr flush dev "$1" ;;
    esac
}

# apply_lease: the kernel's side of it.
apply_lease() {
    local address
    read_lease mtu
    if [ -n "$lease_value" ] && ! ip link set "$lease_interface" mtu "$lease_value"; then
        warn "$lease_interface does not take the MTU $lease_value"
    fi
    forget_address "$lease_interface"
    read_lease address; address=$lease_value
    if [ -n "$address" ]; then
        read_lease prefix; address="$address/$lease_value"
        lease_applied="$lease_applied$lease_interface "
        ip addr add "$address" broadcast + dev "$lease_interface" || return 1
    fi
}

# apply_names: what the resolver and the kernel keep of the lease that leads to the root.
apply_names() {
    write_resolv_conf > /etc/resolv.conf
    read_lease hostname
    [ -z "$lease_value" ] || printf '%s\n' "$lease_value" > /proc/sys/kernel/hostname
}

# apply_routes: those of option 121, which then speak for the router too (RFC 3442), else a default one by the router.
apply_routes() {
    local route
    read_lease routes
    if [ -z "$lease_value" ]; then
        read_lease router
        [ -z "$lease_value" ] || add_route 0.0.0.0/0 "${lease_value%% *}"
        return 0
    fi
    # What is on the interface itself first: the others' gateways may be there.
    for route in $lease_value; do
        case $route in *,0.0.0.0) add_route "${route%,*}" 0.0.0.0 ;; esac
    done
    for route in $lease_value; do
        case $route in *,0.0.0.0) ;; *) add_route "${route%,*}" "${route#*,}" ;; esac
    done
}

# add_route NET/LENGTH GATEWAY
add_route() {
    if [ "$2" = 0.0.0.0 ]; then
        ip route add "$1" dev "$lease_interface" || warn "no route to $1 on $lease_interface"
        return 0
    fi
    ip route add "$1" via "$2" dev "$lease_interface" 2>/dev/null && return 0
    # A router outside the subnet needs a way to itself first.
    ip route add "$2" dev "$lease_interface" 2>/dev/null
    ip route add "$1" via "$2" dev "$lease_interface" || warn "no route to $1 through the router $2"
}

# write_resolv_conf: the resolver's file for this lease, on standard output; empty when no server is known.
write_resolv_conf() {
    local server search
    read_lease search; search=$lease_value
    if [ -z "$search" ]; then
        read_lease domain
        search=$lease_value
    fi
    [ -z "$search" ] || printf 'search %s\n' "$search"
    read_lease dns
    for server in $param_nameserver $lease_value; do
        printf 'nameserver %s\n' "$server"
    done
}

# describe_lease: one line for the console.
describe_lease() {
    local text
    read_lease address6
    if [ -n "$lease_value" ]; then
        say "lease: $lease_interface has $lease_value"
        return 0
    fi
    read_lease address; text="$lease_interface has $lease_value"
    read_lease prefix; text="$text/$lease_value"
    if [ $ip_mode = static ]; then
        say "lease: $text, as ip= says"
        return 0
    fi
    read_lease server; text="$text from ${lease_value:-an unnamed server}"
    read_lease lease-seconds
    say "lease: $text, ${lease_value:-no} s"
}

# put_down_others: the interfaces that were asked in vain, and those without a link.
put_down_others() {
    local name
    for name in $interfaces; do
        [ "$name" != "$lease_interface" ] || continue
        forget_address "$name"
        ip link set "$name" down
        # To be raised again when the phase is tried again.
        case $raised in
            *" $name "*) raised="${raised%%" $name "*} ${raised#*" $name "}" ;;
        esac
    done
}

# apply_more: the interfaces of further ip=. None of them holds the boot up, and none of them gets a router.
apply_more() {
    local spec main="$lease_interface"
    for spec in $ip_more; do
        load_ip "$spec"
        if [ -z "$ip_device" ] || [ "$ip_device" = "$main" ] || [ ! -e "/sys/class/net/$ip_device" ]; then
            warn "no interface for another ip= (${ip_device:-it names none})"
            continue
        fi
        lease_interface=$ip_device
        ip link set "$ip_device" up
        case $ip_mode in
            static) take_static ;;
            dhcp)
                linked=$ip_device
                ask_round || [ -n "$lease_fallback" ] || {
                    warn "no DHCP answer on $ip_device"
                    continue
                }
                lease_interface=$ip_device
                take_named
                ;;
            *)
                # The kernel does it by itself.
                continue
                ;;
        esac
        apply_lease || warn "the kernel refuses the address of $ip_device"
    done
    lease_interface=$main
    load_ip "${ip_main:-::::::dhcp}"
}

# take_lease: by the way that ip= names; sets lease_interface.
take_lease() {
    case $ip_mode in
        static)
            lease_interface=${linked%% *}
            take_static
            check_static
            ;;
        dhcp) take_dhcp && take_named ;;
        *) take_ipv6 && take_named ;;
    esac
}

phase_lease() {
    reset_backoff
    # Again after a failure: what was put down may be what is needed.
    look_for_links
    [ -n "$linked" ] || wait_link || return 1
    take_lease || return 1
    if ! apply_lease; then
        report PXE-INIT-lease-apply "the kernel refuses the address of the lease on $lease_interface" \
            "the message above is its word" "look at the DHCP server's subnet and mask"
        return 1
    fi
    apply_routes
    apply_names
    put_down_others
    add_state interface "$lease_interface"
    describe_lease
    apply_more
    start_netconsole
}
