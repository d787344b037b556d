# shellcheck shell=sh disable=SC3043
# /dev of the future root, by pxeinit.dev: the kernel's devtmpfs, the tree's dev.tar.gz, or a copy of the tree's /dev.

# choose_dev: sets dev_source.
choose_dev() {
    dev_source=$param_dev
    if [ "$dev_source" = auto ]; then
        dev_source=copy
        [ ! -f "$tree_root/dev.tar.gz" ] || dev_source=tar
        case $mounted in
            *' /dev '*) dev_source=devtmpfs ;;
        esac
    fi
}

# unpack_dev: dev.tar.gz holds dev/NODE or NODE.
unpack_dev() {
    local inner
    tar -C "$new_root/dev" -xzf "$tree_root/dev.tar.gz" || return 1
    if [ -d "$new_root/dev/dev" ]; then
        for inner in "$new_root"/dev/dev/* "$new_root"/dev/dev/.[!.]*; do
            [ ! -e "$inner" ] && [ ! -L "$inner" ] || mv "$inner" "$new_root/dev/"
        done
        rmdir "$new_root/dev/dev"
    fi
}

# make_node PATH MAJOR MINOR MODE: unless it is there.
make_node() {
    [ -e "$1" ] || mknod -m "$4" "$1" c "$2" "$3"
}

# complete_dev: what no system runs without, and the consoles that the kernel uses.
complete_dev() {
    local dev=$new_root/dev consoles='' name number
    mkdir -p "$dev/pts" "$dev/shm"
    make_node "$dev/console" 5 1 600
    make_node "$dev/null" 1 3 666
    make_node "$dev/zero" 1 5 666
    make_node "$dev/full" 1 7 666
    make_node "$dev/random" 1 8 666
    make_node "$dev/urandom" 1 9 666
    make_node "$dev/kmsg" 1 11 644
    make_node "$dev/tty" 5 0 666
    make_node "$dev/ptmx" 5 2 666
    IFS= read -r consoles < /sys/class/tty/console/active || :
    for name in $consoles; do
        is_interface "$name" || continue
        number=
        IFS= read -r number < "/sys/class/tty/$name/dev" || continue
        make_node "$dev/$name" "${number%:*}" "${number#*:}" 620
    done
    [ -L "$dev/fd" ] || ln -s /proc/self/fd "$dev/fd"
    for name in stdin:0 stdout:1 stderr:2; do
        [ -L "$dev/${name%:*}" ] || ln -s "fd/${name#*:}" "$dev/${name%:*}"
    done
}

fill_dev() {
    choose_dev
    if [ $dev_source != devtmpfs ]; then
        mount -t tmpfs -o nosuid,mode=0755 tmpfs "$new_root/dev" || return 1
        case $dev_source in
            tar) unpack_dev ;;
            copy) copy_stream "$tree_root/dev" "$new_root/dev" . ;;
        esac || warn "/dev from $dev_source is incomplete; the kernel's own nodes are added"
        complete_dev
    elif [ "${mounted#* /dev }" = "$mounted" ]; then
        report PXE-INIT-tree-devtmpfs "pxeinit.dev=devtmpfs, but this kernel has none" \
            "CONFIG_DEVTMPFS is off" "leave pxeinit.dev away, or use tar or copy"
        return 1
    fi
    add_state dev $dev_source
}
