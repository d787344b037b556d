# shellcheck shell=dash
# Phase lease: an address, from the command line or by DHCP. All that a server says passes through dhcp-event, which keeps
# one checked value a file in $run_dir/lease/INTERFACE.

lease_interface=
lease_applied=no
lease_tries=3   # DISCOVER frames a round
lease_pause=2   # seconds between them

ip_mode=dhcp
ip_client= ip_server= ip_gateway= ip_mask= ip_hostname= ip_device= ip_dns=

# read_ip_param: ip=client:server:gateway:mask:host:device:how:dns0:dns1 (kernel, nfsroot.rst), or one word, or dracut's
# device:how.
read_ip_param() {
    local how rest
    ip_mode=dhcp
    case $param_ip in
        '' | dhcp | on | any | both | bootp) return 0 ;;
        off | none)
            drop_param ip "$param_ip" "a network root needs an address; DHCP is used"
            return 0
            ;;
        *:*:*:*) ;;
        *:*)
            how=${param_ip#*:}
            case $how in
                dhcp | on | any | both) ;;
                *)
                    drop_param ip "$param_ip" "only dhcp can follow the interface"
                    return 0
                    ;;
            esac
            if is_interface "${param_ip%%:*}"; then
                ip_device=${param_ip%%:*}
            else
                drop_param ip "$param_ip" "not an interface's name"
            fi
            return 0
            ;;
        *)
            drop_param ip "$param_ip" "not the kernel's form"
            return 0
            ;;
    esac
    rest="$param_ip:::::::::"
    ip_client=${rest%%:*}; rest=${rest#*:}
    ip_server=${rest%%:*}; rest=${rest#*:}
    ip_gateway=${rest%%:*}; rest=${rest#*:}
    ip_mask=${rest%%:*}; rest=${rest#*:}
    ip_hostname=${rest%%:*}; rest=${rest#*:}
    ip_device=${rest%%:*}; rest=${rest#*:}
    how=${rest%%:*}; rest=${rest#*:}
    ip_dns="${rest%%:*}"; rest=${rest#*:}
    ip_dns="$ip_dns ${rest%%:*}"
    check_ip_param "$how"
}

# check_ip_param HOW: what is not valid is dropped; with a valid address and without "dhcp" the mode is static.
check_ip_param() {
    local name value
    for name in client server gateway; do
        case $name in
            client) value=$ip_client ;;
            server) value=$ip_server ;;
            gateway) value=$ip_gateway ;;
        esac
        if [ -n "$value" ] && ! is_host_ipv4 "$value"; then
            drop_param "ip (its $name)" "$value" "not the address of a host"
            case $name in
                client) ip_client= ;;
                server) ip_server= ;;
                gateway) ip_gateway= ;;
            esac
        fi
    done
    if [ -n "$ip_hostname" ] && ! is_hostname "$ip_hostname"; then
        drop_param "ip (its host name)" "$ip_hostname" "not a host name"
        ip_hostname=
    fi
    if [ -n "$ip_device" ] && ! is_interface "$ip_device"; then
        drop_param "ip (its device)" "$ip_device" "not an interface's name"
        ip_device=
    fi
    case $1 in
        dhcp | on | any | both | bootp) return 0 ;;
    esac
    if [ -n "$ip_client" ]; then
        ip_mode=static
    fi
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

# write_lease NAME VALUE: a checked value of a lease that did not come by DHCP.
write_lease() {
    printf '%s\n' "$2" > "$run_dir/lease/$lease_interface/$1"
}

# read_lease NAME: sets lease_value, empty if there is none.
read_lease() {
    lease_value=
    { IFS= read -r lease_value < "$run_dir/lease/$lease_interface/$1"; } 2>/dev/null || :
}

# take_static: ip= as a lease.
take_static() {
    lease_interface=${linked%% *}
    mkdir -p "$run_dir/lease/$lease_interface"
    mask_to_prefix "${ip_mask:-255.255.255.0}" || {
        drop_param "ip (its mask)" "$ip_mask" "not a netmask; 255.255.255.0 is used"
        prefix=24
    }
    write_lease address "$ip_client"
    write_lease prefix "$prefix"
    [ -z "$ip_gateway" ] || write_lease router "$ip_gateway"
    [ -z "$ip_server" ] || write_lease next-server "$ip_server"
    [ -z "$ip_hostname" ] || write_lease hostname "$ip_hostname"
    local dns valid=
    for dns in $ip_dns; do
        if is_ipv4 "$dns"; then valid="$valid${valid:+ }$dns"; fi
    done
    [ -z "$valid" ] || write_lease dns "$valid"
}

# ask_dhcp INTERFACE: one round of DISCOVER frames; succeeds with a lease.
ask_dhcp() {
    env -i PATH=/bin LC_ALL=C udhcpc -f -n -q -t "$lease_tries" -T "$lease_pause" -i "$1" \
        -s /lib/pxeinit/dhcp-event -V pxeinit \
        -O rootpath -O mtu -O search -O ntpsrv -O staticroutes >> "$run_dir/udhcpc.log" 2>&1 \
        && [ -s "$run_dir/lease/$1/address" ]
}

# ask_all: a round on every linked interface at once; the first lease wins, the other interfaces go down again.
ask_all() {
    local name pids= pid alive
    case $linked in
        *' '*) ;;
        *)
            ask_dhcp "$linked" || return 1
            lease_interface=$linked
            return 0
            ;;
    esac
    for name in $linked; do
        ask_dhcp "$name" &
        pids="$pids $!"
    done
    lease_interface=
    while :; do
        # Looked at before the leases: whoever has ended has written its lease.
        alive=no
        for pid in $pids; do
            if kill -0 "$pid" 2>/dev/null; then alive=yes; fi
        done
        for name in $linked; do
            if [ -s "$run_dir/lease/$name/address" ]; then
                lease_interface=$name
                break
            fi
        done
        if [ -n "$lease_interface" ] || [ $alive = no ]; then
            break
        fi
        usleep 50000
    done
    killall -q udhcpc
    # The losers' shells end with their udhcpc.
    # shellcheck disable=SC2086  # a list of numbers
    wait $pids
    [ -n "$lease_interface" ] || return 1
    for name in $interfaces; do
        [ "$name" = "$lease_interface" ] || ip link set "$name" down
    done
}

# apply_lease: the kernel's side of it.
apply_lease() {
    local address gateway mtu
    read_lease address; address=$lease_value
    read_lease prefix; address="$address/$lease_value"
    read_lease mtu; mtu=$lease_value
    read_lease router; gateway=${lease_value%% *}
    [ -z "$mtu" ] || ip link set "$lease_interface" mtu "$mtu"
    if [ $lease_applied = yes ]; then
        ip addr flush dev "$lease_interface"
    fi
    lease_applied=yes
    ip addr add "$address" broadcast + dev "$lease_interface" || return 1
    if [ -n "$gateway" ]; then
        # A router outside the subnet needs a way to itself first.
        ip route add default via "$gateway" dev "$lease_interface" 2>/dev/null || {
            ip route add "$gateway" dev "$lease_interface" \
                && ip route add default via "$gateway" dev "$lease_interface" \
                || warn "no route through the router $gateway"
        }
    fi
    write_resolv_conf > /etc/resolv.conf
    read_lease hostname
    [ -z "$lease_value" ] || printf '%s\n' "$lease_value" > /proc/sys/kernel/hostname
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

# report_no_lease ROUNDS: what is known when nobody answers.
report_no_lease() {
    report PXE-INIT-lease-none "no DHCP answer on $linked after $1 rounds of $lease_tries requests" \
        "the server is down, on another network, or the switch port is not forwarding yet (spanning tree)" \
        "look at the DHCP server's log for this machine's address ($(cat /sys/class/net/"${linked%% *}"/address 2>/dev/null))"
}

phase_lease() {
    local round=0
    reset_backoff
    if [ $ip_mode = static ]; then
        take_static
    else
        say "lease: asking DHCP on $linked"
        while :; do
            rm -rf "$run_dir/lease"
            mkdir "$run_dir/lease"
            round=$((round + 1))
            ask_all && break
            if [ $round -eq $backoff_quick_rounds ]; then
                report_no_lease $round
                if must_give_up; then
                    return 1
                fi
            fi
            [ $round -lt $backoff_quick_rounds ] || back_off "a DHCP answer on $linked"
            list_interfaces
            raise_interfaces
            list_linked
            [ -n "$linked" ] || wait_link || return 1
        done
    fi
    if ! apply_lease; then
        report PXE-INIT-lease-apply "the kernel refuses the address of the lease on $lease_interface" \
            "the message above is its word" "look at the DHCP server's subnet and mask"
        return 1
    fi
    add_state interface "$lease_interface"
    describe_lease
}
