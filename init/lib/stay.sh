# shellcheck shell=dash
# Staying (phase handoff): the address that the root was mounted with must outlive the boot. A keeper out of /run/initramfs
# renews the lease, whatever the tree is; what manages networks in the tree is told to leave the interface alone.

memory=/run/initramfs

# make_memory: what stays in memory, in a tmpfs of its own: /run has nodev, and some systems remount it with noexec.
make_memory() {
    mkdir -p $memory
    mount -t tmpfs -o nosuid,mode=0755,size=16m tmpfs $memory || warn "no tmpfs of its own for $memory"
    mkdir -p $memory/bin $memory/@ $memory/dev $memory/proc $memory/sys $memory/run $memory/oldroot $memory/keeper
    cp /bin/busybox $memory/bin/
    ln -s busybox $memory/bin/sh
    # systemd spares what is called "@…" (systemd.io/ROOT_STORAGE_DAEMONS), busybox wants its own name behind a slash.
    ln -s ../bin/busybox $memory/@/busybox
    mknod -m 666 $memory/dev/null c 1 3
    mknod -m 600 $memory/dev/kmsg c 1 11
    cp /lib/pxeinit/shutdown /lib/pxeinit/leave /lib/pxeinit/leave-anyway /lib/pxeinit/keep-lease /lib/pxeinit/lease-event $memory/
}

# start_keeper: it does not share the root, the session or a file with anything else.
start_keeper() {
    local address
    read_lease obtained
    # An address of ip= is nobody's to renew.
    [ -n "$lease_value" ] || return 0
    read_lease address
    address=$lease_value
    printf '%s\n' "$address" > $memory/keeper/address
    ln -s ../initramfs/keeper "$run_dir/keeper"
    # As the lease was asked for (lib/dhcp.sh): the server must take it for the same client.
    read_lease vendor-class
    set -- -V "${lease_value:-pxeinit}"
    read_lease client-id
    case $lease_value in
        '' | mac) ;;
        none) set -- "$@" -C ;;
        *) set -- "$@" -C -x "0x3d:$lease_value" ;;
    esac
    env -i PATH=/bin setsid chroot $memory @/busybox sh /keep-lease "$lease_interface" "$address" "$@" \
        < /dev/null > /dev/null 2>&1 &
}

# find_kept_interfaces: sets kept_interfaces to the lease's interface and those below it (of a bond, a VLAN).
find_kept_interfaces() {
    local path name
    kept_interfaces=$lease_interface
    for path in /sys/class/net/"$lease_interface"/lower_*; do
        name=${path##*/lower_}
        if [ -e "$path" ] && is_interface "$name"; then
            kept_interfaces="$kept_interfaces $name"
        fi
    done
}
kept_interfaces=

# tree_has PATH...: is one of them in the future root?
tree_has() {
    local path
    for path; do
        if resolve_in_tree "$new_root" "$path"; then
            return 0
        fi
    done
    return 1
}

# etc_is_ours: may files in /etc be written, for this client alone?
etc_is_ours() {
    case $param_mode.$param_farm$layered in
        farm.bind* | overlay.* | ro.*" etc "*) ;;
        *) return 1 ;;
    esac
}

# replace_file PATH: /tmp/replacement becomes the content of a file that is there; where it is not this client's alone, it
# is covered by a bind mount.
replace_file() {
    local target copy
    resolve_in_tree "$new_root" "$1" || return 1
    target=$resolved
    case $target in
        "$new_root"/nfsroot/*) ;;
        *)
            if etc_is_ours; then
                { cat /tmp/replacement > "$target"; } 2>/dev/null && return 0
            fi
            ;;
    esac
    copy=$run_dir/covers$1
    mkdir -p "${copy%/*}"
    # The file's mode, for an init script is executed.
    cp -p "$target" "$copy" && cat /tmp/replacement > "$copy" && mount -o bind "$copy" "$target" && return 0
    warn "$1 cannot be changed for this boot"
    return 1
}

# hand_over_networkd: a network of ours goes before all others: the address as a fixed one, kept at the end too. The
# interface keeps its name, which newer kernels let udev change while it is up.
hand_over_networkd() {
    local name folder=/run/systemd/network
    tree_has /usr/lib/systemd /lib/systemd || return 0
    make_unit_folders
    for name in $kept_interfaces; do
        # In both files the first that matches is taken, in the order of their names.
        printf '%s\n' '# pxeinit: the root hangs on this name.' '[Match]' "OriginalName=$name" '[Link]' \
            'AlternativeNamesPolicy=database onboard slot path' > "$folder/0-pxeinit-$name.link"
        if [ "$name" = "$lease_interface" ]; then
            describe_network
        else
            printf '%s\n' '[Match]' "Name=$name" '[Link]' 'Unmanaged=yes'
        fi > "$folder/0-pxeinit-$name.network"
    done
}

# make_unit_folders: systemd's in /run, all that anything of ours goes to.
make_unit_folders() {
    [ -d /run/systemd/system/sysinit.target.d ] || mkdir -p /run/systemd/network /run/systemd/system/sysinit.target.d
}

# describe_network: the lease as systemd.network(5) has it. No gateway: the routes are there, and are kept; a second one
# to the same place would only be in the way.
describe_network() {
    local value prefix
    printf '%s\n' '# pxeinit: the root hangs on this address; its lease is renewed from /run/initramfs.' \
        '[Match]' "Name=$lease_interface" '[Network]'
    read_lease prefix
    prefix=$lease_value
    read_lease address
    value=${lease_value:+$lease_value/$prefix}
    read_lease address6
    for value in $value $lease_value; do
        printf 'Address=%s\n' "$value"
    done
    printf '%s\n' 'KeepConfiguration=yes' 'IgnoreCarrierLoss=yes'
    read_lease dns
    for value in $param_nameserver $lease_value; do
        printf 'DNS=%s\n' "$value"
    done
    read_lease search
    value=$lease_value
    read_lease domain
    value=${value:-$lease_value}
    [ -z "$value" ] || printf 'Domains=%s\n' "$value"
    read_lease ntp
    for value in $lease_value; do
        printf 'NTP=%s\n' "$value"
    done
}

# hand_over_networkmanager: NetworkManager.conf(5); the second form is the one that nothing overrules.
hand_over_networkmanager() {
    local name list=
    tree_has /usr/sbin/NetworkManager /usr/bin/NetworkManager || return 0
    for name in $kept_interfaces; do
        list="$list${list:+,}interface-name:=$name"
    done
    mkdir -p /run/NetworkManager/conf.d
    printf '%s\n' '# pxeinit: the root hangs on this interface.' '[device-pxeinit]' "match-device=$list" 'managed=0' \
        '[keyfile]' "unmanaged-devices+=$list" > /run/NetworkManager/conf.d/0-pxeinit.conf
}

# hand_over_ifupdown: no "auto" and no "allow-hotplug" for it, in whichever file they stand (interfaces(5)).
hand_over_ifupdown() {
    local file
    for file in "$new_root"/etc/network/interfaces "$new_root"/etc/network/interfaces.d/*; do
        resolve_in_tree "$new_root" "${file#"$new_root"}" && [ -f "$resolved" ] || continue
        # shellcheck disable=SC2016  # awk's own
        awk -v drop=" $kept_interfaces " '
            { raw = raw $0 "\n"; text = text $0 }
            /\\$/ { sub(/\\$/, " ", text); next }
            {
                count = split(text, word, /[ \t]+/)
                first = word[1] == "" ? 2 : 1
                if (word[first] ~ /^(auto|allow-.*)$/) {
                    kept = ""
                    for (i = first + 1; i <= count; i++) {
                        name = word[i]
                        sub(/=.*/, "", name)
                        if (name != "" && !index(drop, " " name " ")) kept = kept " " word[i]
                    }
                    if (kept != "") print word[first] kept
                } else printf "%s", raw
                raw = text = ""
            }
            END { printf "%s", raw }' "$resolved" > /tmp/replacement
        replace_file "${file#"$new_root"}"
    done
}

# hand_over_dhcpcd: dhcpcd.conf(5); first, since what stands behind an "interface" line is for that interface alone.
hand_over_dhcpcd() {
    resolve_in_tree "$new_root" /etc/dhcpcd.conf && [ -f "$resolved" ] || return 0
    {
        printf 'denyinterfaces %s\n' "$kept_interfaces"
        cat "$resolved"
    } > /tmp/replacement
    replace_file /etc/dhcpcd.conf
}

# hand_over_network: to all that the tree may have.
hand_over_network() {
    find_kept_interfaces
    hand_over_networkd
    hand_over_networkmanager
    hand_over_ifupdown
    hand_over_dhcpcd
    return 0
}
