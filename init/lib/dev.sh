# shellcheck shell=dash
# /dev of the future root, by pxeinit.dev: the kernel's devtmpfs, the tree's dev.tar.gz, or a copy of the tree's /dev.

# choose_dev: sets dev_source.
choose_dev() {
    dev_source=$param_dev
    if [ "$dev_source" = auto ]; then
        dev_source=copy
        [ ! -f "$tree_root/dev.tar.gz" ] || dev_source=tar
        if has_devtmpfs; then dev_source=devtmpfs; fi
    fi
}

# unpack_dev: dev.tar.gz holds dev/NODE or NODE.
unpack_dev() {
    local inner
    tar -C "$dev_folder" -xzf "$tree_root/dev.tar.gz" || return 1
    if [ -d "$dev_folder/dev" ]; then
        for inner in "$dev_folder"/dev/* "$dev_folder"/dev/.[!.]*; do
            [ -e "$inner" ] || [ -L "$inner" ] || continue
            # A folder (pts, shm) that is there already is as good as the archive's.
            mv "$inner" "$dev_folder/" 2>/dev/null || [ -d "$inner" ] || return 1
        done
        rm -rf "${dev_folder:?}/dev"
    fi
}

# make_node NAME MAJOR MINOR MODE: unless it is there.
make_node() {
    [ -e "$dev_folder/$1" ] || mknod -m "$4" "$dev_folder/$1" c "$2" "$3"
}

# make_link NAME TARGET: unless it is there.
make_link() {
    [ -L "$dev_folder/$1" ] || [ -e "$dev_folder/$1" ] || ln -s "$2" "$dev_folder/$1"
}

# complete_dev: what no system runs without, and the consoles that the kernel uses.
complete_dev() {
    local consoles='' name number
    if [ ! -d "$dev_folder/pts" ] || [ ! -d "$dev_folder/shm" ]; then
        mkdir -p "$dev_folder/pts" "$dev_folder/shm"
    fi
    make_node console 5 1 600
    make_node null 1 3 666
    make_node zero 1 5 666
    make_node full 1 7 666
    make_node random 1 8 666
    make_node urandom 1 9 666
    make_node kmsg 1 11 644
    make_node tty 5 0 666
    make_node ptmx 5 2 666
    { IFS= read -r consoles < /sys/class/tty/console/active; } 2>/dev/null || :
    for name in $consoles; do
        is_interface "$name" || continue
        number=
        { IFS= read -r number < "/sys/class/tty/$name/dev"; } 2>/dev/null || continue
        make_node "$name" "${number%:*}" "${number#*:}" 620
    done
    # systemd makes these as its first act.
    [ "${init_file##*/}" != systemd ] || return 0
    make_link fd /proc/self/fd
    make_link stdin fd/0
    make_link stdout fd/1
    make_link stderr fd/2
}

# has_devtmpfs: does the kernel fill /dev itself?
has_devtmpfs() {
    case $mounted in
        *' /dev '*) ;;
        *) return 1 ;;
    esac
}

# fill_dev: tar and copy lay the tree's nodes over the kernel's, where the kernel has a devtmpfs: udev and systemd's device
# units work with no other file system (sd-device asks for it by name). A kernel without one gets a tmpfs.
fill_dev() {
    choose_dev
    dev_folder=/dev
    if ! has_devtmpfs; then
        if [ "$dev_source" = devtmpfs ]; then
            report PXE-INIT-tree-devtmpfs "pxeinit.dev=devtmpfs, but this kernel has none" \
                "CONFIG_DEVTMPFS is off" "leave pxeinit.dev away, or use tar or copy"
            return 1
        fi
        dev_folder=$new_root/dev
        mount -t tmpfs -o nosuid,mode=0755 tmpfs "$dev_folder" || {
            report PXE-INIT-tree-dev "no tmpfs for /dev" "the kernel refuses it, or the tree has no folder /dev" \
                "use a kernel with CONFIG_DEVTMPFS, or make /dev in the tree"
            return 1
        }
    fi
    case $dev_source in
        devtmpfs) ;;
        tar) unpack_dev ;;
        copy) copy_stream "$tree_root/dev" "$dev_folder" . ;;
    esac || warn "/dev from $dev_source is incomplete; the kernel's own nodes are there"
    complete_dev
    add_state dev "$dev_source"
}
