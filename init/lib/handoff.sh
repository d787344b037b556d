# shellcheck shell=dash
# Phase handoff: what the real system finds of the boot: its resolver's file, an identity of its own, and (stay.sh, leave.sh)
# in /run/initramfs what it needs to keep its network root, and to leave it.

# install_resolv_conf: where the tree's own link points, if that can be written.
install_resolv_conf() {
    local target
    write_resolv_conf > "$run_dir/resolv.conf"
    [ -s "$run_dir/resolv.conf" ] || return 0
    # Fails for a file that is not there yet, which is not a failure here.
    resolve_in_tree "$new_root" /etc/resolv.conf || [ -n "$resolved" ] || return 0
    target=$resolved
    case $target in
        # /run moves into the new root later.
        "$new_root"/run/*) target=${target#"$new_root"} ;;
    esac
    case $target in
        # What the warning below advises: it is there already.
        "$run_dir/resolv.conf") return 0 ;;
        "$new_root"/nfsroot/*) ;;
        *)
            # In mode rw the file would be the server's, which all clients share: it is covered, below.
            if [ "$param_mode" != rw ] || [ "${target#"$new_root"/}" = "$target" ]; then
                [ -d "${target%/*}" ] || mkdir -p "${target%/*}" 2>/dev/null
                { cat "$run_dir/resolv.conf" > "$target"; } 2>/dev/null && return 0
            fi
            ;;
    esac
    # A read-only tree: a bind mount covers the file that is there.
    if [ -f "$target" ] && mount -o bind "$run_dir/resolv.conf" "$target"; then
        return 0
    fi
    warn "${target#"$new_root"} cannot be written: names will not resolve (a link to /run/pxeinit/resolv.conf would help)"
}

# give_machine_id: without one systemd takes each boot for its first, and the tree's would be every client's. Derived from
# the hardware address, so that a machine keeps its own.
give_machine_id() {
    local file="$new_root/etc/machine-id" id='' address=''
    etc_is_ours || return 0
    [ -d "$new_root/etc/systemd" ] || return 0
    [ ! -L "$file" ] || return 0
    # What the client's own folder says is meant.
    [ -z "$client_folder" ] || [ ! -s "$client_folder/etc/machine-id" ] || return 0
    IFS= read -r address < "/sys/class/net/$lease_interface/address" || return 0
    printf 'mkpxeinit machine-id %s\n' "$address" > /tmp/id
    md5sum /tmp/id > /tmp/md5sum
    IFS= read -r id < /tmp/md5sum || return 0
    printf '%s\n' "${id%% *}" > "$file"
}

# write_hardware: what `mkpxeinit build --hardware` reads to make an image for just this machine, and `mkpxeinit check` to
# judge one: the modaliases of all devices on buses that network devices may be on, or hang on.
write_hardware() {
    local bus device alias
    echo '# modaliases of this client, for mkpxeinit build --hardware'
    for bus in pci usb virtio vmbus xen platform acpi spi fsl-mc; do
        for device in /sys/bus/"$bus"/devices/*; do
            alias=
            { IFS= read -r alias < "$device/modalias"; } 2>/dev/null || continue
            is_modalias "$alias" || continue
            printf '%s\n' "$alias"
        done
    done
    list_phys
}

phase_handoff() {
    [ -d "$new_root" ] || return 1
    install_resolv_conf
    write_hardware > "$run_dir/hardware"
    give_machine_id
    give_host_name
    give_ssh_keys
    # What is used of them holds on to them.
    [ ! -d /clients ] || umount -l /clients 2>/dev/null
    [ ! -d $medium ] || umount -l $medium 2>/dev/null
    # A second attempt finds them.
    if [ ! -e $memory/shutdown ]; then
        make_memory
        hand_over_network
        keep_var
        lead_sysvinit
        watch_leaving
        start_keeper
    fi
    if [ "$param_shell" = yes ]; then
        say_always "a look at the finished root in $new_root, as pxeinit.shell says"
        give_shell
    fi
}
