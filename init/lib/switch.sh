# shellcheck shell=dash
# Phase switch: the new root becomes "/", and its init PID 1. From the kernel's rootfs by switch_root, which frees the
# image's memory; where the current root is a real mount (a legacy initrd, or a tmpfs that the initramfs moved into) by
# pivot_root, the old root staying in /initrd.

# choose_switch: sets switch_way to switch_root, pivot_root (this root is a mount) or move_then_pivot.
choose_switch() {
    [ -n "$root_type" ] || read_mounts
    case $root_type.$param_switch in
        rootfs.pivot_root) switch_way=move_then_pivot ;;
        rootfs.*) switch_way=switch_root ;;
        tmpfs.switch_root | ramfs.switch_root) switch_way=switch_root ;;
        *) switch_way=pivot_root ;;
    esac
    if [ $switch_way != switch_root ] && [ ! -d "$new_root/initrd" ]; then
        warn "the new root has no /initrd to pivot into: switch_root instead"
        switch_way=switch_root
    fi
}

# move_kernel_mounts: run last, for /proc/uptime and the log are used until then.
move_kernel_mounts() {
    local name
    for name in dev sys run proc; do
        [ $name != dev ] || has_devtmpfs || continue
        [ -d "$new_root/$name" ] || continue
        mount -o move /$name "$new_root/$name"
    done
}

# make_keep: a tmpfs with what remains of the image after the switch: programs and scripts, no modules; the new root in it.
make_keep() {
    mkdir -p /keep
    mount -t tmpfs -o mode=0755 tmpfs /keep && mkdir -p /keep/lib /keep/newroot /keep/tmp \
        && cp -a /bin /etc /keep/ && cp -a /lib/pxeinit /keep/lib/ && move_mount "$new_root" /keep/newroot
}

phase_switch() {
    choose_switch
    if [ $switch_way = move_then_pivot ]; then
        make_keep || {
            report PXE-INIT-switch-keep "no tmpfs for the old root and the new one in it" "the kernel or the memory refuses it" \
                "leave pxeinit.switch=pivot_root away"
            return 1
        }
        new_root=/keep/newroot
    fi
    case $switch_way in
        switch_root) add_state switch switch_root ;;
        *) add_state switch pivot_root ;;
    esac
    read_uptime
    add_state handover "$uptime_now"
    say "handing over to $tree_init"
    send_report phase handover
    end_report
    hand_log
    move_kernel_mounts
    set -- "$tree_init" "$@"
    case $switch_way in
        switch_root) exec env -i HOME=/ TERM=linux switch_root -c /dev/console "$new_root" "$@" ;;
        move_then_pivot)
            exec env -i HOME=/ TERM=linux PATH=/bin switch_root /keep /lib/pxeinit/pivot /newroot "$@"
            ;;
        pivot_root) exec env -i HOME=/ TERM=linux PATH=/bin /lib/pxeinit/pivot "$new_root" "$@" ;;
    esac
}
