# shellcheck shell=dash
# Phase handoff: what the real system finds of the boot: its resolver's file, an identity of its own, and in
# /run/initramfs what it needs to leave its network root.

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
                mkdir -p "${target%/*}" 2>/dev/null
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

# give_machine_id: a tree that many share has none, and systemd would take each boot for its first. Derived from the
# hardware address, so that a machine keeps its own.
give_machine_id() {
    local file="$new_root/etc/machine-id" id='' address=''
    # Only where /etc is this client's alone.
    case $param_mode.$param_farm in
        farm.bind | overlay.*) ;;
        *) return 0 ;;
    esac
    [ -d "$new_root/etc/systemd" ] || return 0
    [ ! -L "$file" ] || return 0
    { IFS= read -r id < "$file"; } 2>/dev/null || :
    case $id in
        '' | uninitialized) ;;
        *) return 0 ;;
    esac
    IFS= read -r address < "/sys/class/net/$lease_interface/address" || return 0
    id=$(printf 'mkpxeinit machine-id %s\n' "$address" | md5sum)
    printf '%s\n' "${id%% *}" > "$file"
}

# keep_for_shutdown: systemd returns into /run/initramfs when everything else has ended.
keep_for_shutdown() {
    local base=/run/initramfs
    mkdir -p $base/bin $base/proc $base/sys $base/dev $base/run $base/oldroot
    cp /bin/busybox $base/bin/busybox
    ln -s busybox $base/bin/sh
    cp /lib/pxeinit/shutdown $base/shutdown
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
    [ -e /run/initramfs/shutdown ] || keep_for_shutdown
    if [ "$param_shell" = yes ]; then
        say_always "a look at the finished root in $new_root, as pxeinit.shell says"
        give_shell
    fi
}
