# shellcheck shell=dash
# DHCP on all linked interfaces at once, by busybox' udhcpc. The first lease that is of use wins: one without a root-path is
# none while nobody else says where the root is, for a network may have a second server.

dhcp_tries=3      # DISCOVER frames a round
dhcp_pause=2      # seconds between them
dhcp_round=12     # seconds that a round takes at most
dhcp_probe=       # udhcpc's option to ask whether the offered address is in use
dhcp_unknown=no   # did udhcpc refuse an option in this round?
lease_fallback=   # an interface whose lease is of use for nothing but its address
dhcp_vendor=      # the vendor class of this round
dhcp_pxe=no       # does this round ask as a PXE ROM does?
dhcp_declined=no  # was an address found in use in this phase?

# choose_probe: before the first round. In milliseconds: two seconds would be udhcpc's own choice.
choose_probe() {
    [ -z "$dhcp_probe" ] || return 0
    dhcp_probe=none
    [ "$param_arp" != yes ] || dhcp_probe=-a300
}

# weaken_probe: after a round that udhcpc refused: busybox before 1.29 has no time for it, and may be built without it. Fails
# where it was not that.
weaken_probe() {
    [ $dhcp_unknown = yes ] || return 1
    case $dhcp_probe in
        -a300) dhcp_probe=-a ;;
        -a) dhcp_probe=none ;;
        *) return 1 ;;
    esac
}

# run_udhcpc INTERFACE: becomes udhcpc, for one round. To be started in the background.
run_udhcpc() {
    local interface="$1" address=''
    read_uuid
    set -- -f -n -q -t "$dhcp_tries" -T "$dhcp_pause" -A 3 -i "$interface" -s /lib/pxeinit/dhcp-event \
        -V "$dhcp_vendor" -O rootpath -O mtu -O search -O ntpsrv -O staticroutes -O msstaticroutes \
        -O tftp -O bootfile -O 58 -O 59
    [ "$dhcp_probe" = none ] || set -- "$@" "$dhcp_probe"
    [ -z "$ip_client" ] || set -- "$@" -r "$ip_client"
    [ -z "$ip_hostname" ] || set -- "$@" -x "hostname:$ip_hostname"
    case $param_clientid in
        mac) ;;
        none) set -- "$@" -C ;;
        *) set -- "$@" -C -x "0x3d:$param_clientid" ;;
    esac
    if [ $dhcp_pxe = yes ]; then
        # RFC 4578: the architecture, the interface of the ROM (UNDI 3.16), and the machine's own identifier.
        set -- "$@" -x "0x5d:$dhcp_arch" -x 0x5e:010310
        [ -z "$uuid" ] || set -- "$@" -x "0x61:00$uuid"
    fi
    exec env -i PATH=/bin LC_ALL=C udhcpc "$@" > "/tmp/udhcpc.$interface" 2>&1
}

# read_uuid: sets uuid to the machine's SMBIOS UUID in hexadecimal digits, empty if there is none.
read_uuid() {
    local text='' rest
    uuid=
    { IFS= read -r text < /sys/class/dmi/id/product_uuid; } 2>/dev/null || return 0
    rest=$text-
    while [ -n "$rest" ]; do
        uuid=$uuid${rest%%-*}
        rest=${rest#*-}
    done
    case ${#uuid}$uuid in
        32*[!0-9a-fA-F]*) uuid= ;;
        32*) ;;
        *) uuid= ;;
    esac
}
uuid=

# choose_vendor ROUND: sets dhcp_vendor. Many servers give a root-path to the class PXEClient alone; so when the others gave
# none, every second round asks as a PXE ROM does. Not in general, for then servers of boot menus (proxyDHCP) answer too.
choose_vendor() {
    local machine=''
    dhcp_pxe=no
    dhcp_vendor=${param_vendor:-pxeinit}
    case $param_vendor in
        PXEClient*) dhcp_pxe=yes ;;
        '') [ $(($1 % 2)) -eq 1 ] || [ $dhcp_useless = no ] || dhcp_pxe=yes ;;
    esac
    dhcp_arch=0000
    if [ -d /sys/firmware/efi ]; then
        dhcp_arch=0007
        { IFS= read -r machine < /proc/sys/kernel/arch; } 2>/dev/null || :
        [ "$machine" != aarch64 ] || dhcp_arch=000b
    fi
    if [ $dhcp_pxe = yes ] && [ -z "$param_vendor" ]; then
        dhcp_vendor=PXEClient:Arch:0$(printf '%04d' "0x$dhcp_arch"):UNDI:003016
    fi
}
dhcp_arch=0000
dhcp_useless=no # did an earlier round get leases without a root-path?

# needs_root_path: does nobody but the lease say where the root is?
needs_root_path() {
    case $param_root in
        '' | /dev/nfs | nfs | nfs4 | nfs: | nfs4:) [ -z "$param_nfsroot" ] ;;
        *) return 1 ;;
    esac
}

# judge_leases: sets lease_interface to the first interface whose lease is of use, and lease_fallback to one that is not.
judge_leases() {
    local name
    for name in $linked; do
        [ -s "$run_dir/lease/$name/address" ] || continue
        if ! needs_root_path || [ -s "$run_dir/lease/$name/root-path" ]; then
            lease_interface=$name
            return 0
        fi
        lease_fallback=${lease_fallback:-$name}
    done
    return 1
}

# ask_round: a round on every linked interface at once. Succeeds with a lease that is of use.
ask_round() {
    choose_probe
    until try_round; do
        weaken_probe || return 1
    done
}

try_round() {
    local name pids=''
    read_uptime
    round_since=$uptime_now
    lease_interface= lease_fallback= dhcp_unknown=no
    for name in $linked; do
        [ ! -e "$run_dir/lease/$name" ] || rm -rf "$run_dir/lease/$name"
        run_udhcpc "$name" &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086  # a list of numbers
    wait_round judge_leases "a DHCP answer on $linked" $pids
}
round_since=0

# wait_round JUDGE WHAT PID...: until the function JUDGE has chosen a lease, or all clients have ended. It has an end of its
# own: with a server that offers and never confirms, udhcpc begins anew again and again.
wait_round() {
    local judge="$1" what="$2" pid alive name
    shift 2
    while :; do
        # Looked at before the leases: whoever has ended has written its lease.
        alive=no
        for pid; do
            if kill -0 "$pid" 2>/dev/null; then alive=yes; fi
        done
        if "$judge" || [ $alive = no ]; then
            break
        fi
        tell_wait "$what"
        seconds_since "$round_since"
        [ "$elapsed" -lt $dhcp_round ] || break
        nap 40000
    done
    { kill "$@"; wait "$@"; } 2>/dev/null
    for name in $linked; do
        read_udhcpc "$name"
    done
    [ -n "$lease_interface" ]
}

# read_udhcpc INTERFACE: its words go to one log; a declined address is remembered.
read_udhcpc() {
    local line
    while IFS= read -r line; do
        printf '%s: %s\n' "$1" "$line" >> "$run_dir/udhcpc.log"
        case $line in
            *declining*) dhcp_declined=yes ;;
            *'invalid option'* | *'unrecognized option'*) dhcp_unknown=yes ;;
        esac
    done < "/tmp/udhcpc.$1"
    : > "/tmp/udhcpc.$1"
}

# report_no_lease ROUNDS: what is known when nobody answers, or somebody else has every address.
report_no_lease() {
    if [ $dhcp_declined = yes ]; then
        report PXE-INIT-lease-duplicate "each address that DHCP offers on $linked is in use" \
            "another machine answers for it, or a router for every address (proxy ARP)" \
            "look for machines with fixed addresses of the server's range; pxeinit.arp=no leaves the question away"
        return 0
    fi
    report PXE-INIT-lease-none "no DHCP answer on $linked after $1 rounds of $dhcp_tries requests" \
        "the server is down, on another network, or the switch port is not forwarding yet (spanning tree)" \
        "look at the DHCP server's log for this machine's address ($(cat /sys/class/net/"${linked%% *}"/address 2>/dev/null))"
}

# pause_asking: the delay before the next round, which ends early when a link comes or goes.
pause_asking() {
    local before="$linked" left
    next_delay
    say_always "waiting $backoff_delay s, then trying again: a DHCP answer on $linked"
    # That is said enough.
    seconds_since "$wait_since"
    wait_next=$((elapsed + backoff_delay + 30))
    left=$backoff_delay
    while [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
        load_bus_drivers
        look_for_links
        if [ "$linked" != "$before" ]; then
            reset_backoff
            break
        fi
    done
}

# take_useless: the lease without a root-path, when no other came: the failure then is that of the root phase.
take_useless() {
    [ -n "$lease_fallback" ] || return 1
    lease_interface=$lease_fallback
    read_lease server
    warn "no lease with a root-path came; the one of ${lease_value:-an unnamed server} on $lease_interface is taken"
}

# holds_entries FOLDER: those without a dot in front.
holds_entries() {
    set -- "$1"/*
    [ -e "$1" ]
}

# note_question: whoever renews the lease later has to ask as the same client.
note_question() {
    write_lease vendor-class "$dhcp_vendor"
    write_lease client-id "$param_clientid"
}

# take_dhcp: rounds without an end, but for panic=. Sets lease_interface.
take_dhcp() {
    local round=0
    say "lease: asking DHCP on $linked"
    dhcp_useless=no dhcp_declined=no
    begin_wait
    while :; do
        if [ ! -d "$run_dir/lease" ] || holds_entries "$run_dir/lease"; then
            rm -rf "$run_dir/lease"
            mkdir "$run_dir/lease"
        fi
        round=$((round + 1))
        choose_vendor $round
        if ask_round; then
            note_question
            return 0
        fi
        if [ -n "$lease_fallback" ]; then
            dhcp_useless=yes
            if [ $round -ge $backoff_quick_rounds ]; then
                take_useless
                note_question
                return 0
            fi
            say "lease: the answer on $lease_fallback has no root-path, and the command line none: asking on"
            # Servers that look for the address first are slower than those that do not.
            sleep 1
        fi
        if [ $round -eq $backoff_quick_rounds ]; then
            if widen_bootif "gets no DHCP answer"; then
                round=0
            else
                report_no_lease $round
                if must_give_up; then
                    return 1
                fi
            fi
        fi
        [ $round -lt $backoff_quick_rounds ] || pause_asking
        look_for_links
        [ -n "$linked" ] || wait_link || return 1
    done
}
