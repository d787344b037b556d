# shellcheck shell=dash
# Phase writable: where the future root is put together, by pxeinit.mode.
#   farm     a tmpfs with the tree in /nfsroot (tree.sh fills it)
#   overlay  an overlay of a tmpfs over the tree
#   ro       the tree itself, with /etc, /var and /tmp in memory (tree.sh)
#   rw       the tree itself

new_root=
tree_root=$nfs_root

# move_mount FROM TO
move_mount() {
    [ -d "$2" ] || mkdir -p "$2" 2>/dev/null
    mount -o move "$1" "$2"
}

# report_writable WHAT WHY
report_writable() {
    report PXE-INIT-writable-mount "$1" "$2" "try another pxeinit.mode= (farm, overlay, ro, rw), or more memory"
}

prepare_farm() {
    if [ ! -d /newroot/nfsroot ]; then
        [ -d /newroot ] || mkdir /newroot
        mount -t tmpfs -o mode=0755 tmpfs /newroot || {
            report_writable "no tmpfs for the root" "the kernel refuses it"
            return 1
        }
        move_mount $nfs_root /newroot/nfsroot || {
            # Else the next attempt would take the empty folder for the tree.
            umount /newroot
            rmdir /newroot/nfsroot 2>/dev/null
            report_writable "the tree cannot be moved to /nfsroot" "the kernel refuses it"
            return 1
        }
    fi
    tree_root=/newroot/nfsroot
    new_root=/newroot
}

# mount_overlay BASE: on /newroot; the tree goes back where it was if that fails.
mount_overlay() {
    mount -t overlay -o "lowerdir=$1/tree,upperdir=$1/top/upper,workdir=$1/top/work" overlay /newroot && return 0
    move_mount "$1/tree" $nfs_root
    return 1
}

prepare_overlay() {
    local base=$run_dir/overlay
    mkdir -p /newroot "$base/tree" "$base/top"
    mount -t tmpfs -o mode=0755 tmpfs "$base/top" || {
        report_writable "no tmpfs over the tree" "the kernel refuses it"
        return 1
    }
    mkdir "$base/top/upper" "$base/top/work"
    move_mount $nfs_root "$base/tree" && mount_overlay "$base" || {
        # Back to where the next attempt begins.
        umount "$base/top"
        report_writable "no overlay over the tree" "the kernel refuses it; is the module overlay in the image?"
        return 1
    }
    tree_root=$base/tree
    new_root=/newroot
}

phase_writable() {
    case $param_mode in
        farm) prepare_farm || return 1 ;;
        overlay) prepare_overlay || return 1 ;;
        *) new_root=$nfs_root ;;
    esac
    add_state mode "$param_mode"
}
