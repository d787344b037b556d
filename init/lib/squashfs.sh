# shellcheck shell=dash
# A root that is one squashfs file on the NFS server (phase root): its folder, or the export that it lies in, is mounted on
# /medium, and the file from there by a loop device where the tree would be. From then on it is the tree.

medium=/medium
squashfs_file= # below the export, without a slash in front; empty where the export is the tree itself
squashfs_path= # the same file as it is found here, all links followed

# choose_squashfs: sets squashfs_file by pxeinit.squashfs=, or from a root_path that names such a file, which then becomes its
# folder; root_shown is what people are told.
choose_squashfs() {
    root_shown=$root_path
    squashfs_file=$param_squashfs
    nfs_point=$nfs_root
    if [ -n "$squashfs_file" ]; then
        root_shown=${root_path%/}/$squashfs_file
    else
        case $root_path in
            *.squashfs) ;;
            *) return 0 ;;
        esac
        squashfs_file=${root_path##*/}
        root_path=${root_path%/*}
        root_path=${root_path:-/}
    fi
    nfs_point=$medium
    [ "$param_mode" = rw ] || return 0
    quote_safely "$root_shown"
    report PXE-INIT-root-squashfs-mode "$quoted is a squashfs, which nobody can write to" \
        "pxeinit.mode=rw makes the tree itself the root, and writable" \
        "use pxeinit.mode=farm, overlay or ro, or export the tree itself"
    return 1
}

# refuse_squashfs FAULT MESSAGE
refuse_squashfs() {
    tree_fault=squashfs-$1
    tree_message=$2
    return 1
}

# find_squashfs: sets squashfs_path. No link leads out of the export.
find_squashfs() {
    resolve_in_tree $medium "/$squashfs_file" || {
        refuse_squashfs missing "there is no such file, or a link to nothing within the export"
        return 1
    }
    squashfs_path=$resolved
    [ -f "$squashfs_path" ] || refuse_squashfs missing "it is no file"
}

# check_squashfs: does it begin as one, and is all of it there? The superblock of version 4 (Documentation/filesystems/
# squashfs.rst, fs/squashfs/squashfs_fs.h), little endian: "hsqs"; the compressor's number at 20, the version at 28, its size at 40.
check_squashfs() {
    local size=0
    squashfs_packed=
    [ -s "$squashfs_path" ] || {
        refuse_squashfs format "the file is empty"
        return 1
    }
    read_files "$squashfs_path" || {
        refuse_squashfs unreadable "${tree_message#"$medium"}"
        return 1
    }
    read_bytes "$squashfs_path" 0 48
    # This od cannot: the kernel will say.
    [ -n "$bytes" ] || return 0
    # shellcheck disable=SC2086  # numbers
    set -- $bytes
    [ $# -eq 48 ] && [ "$1.$2.$3.$4" = 104.115.113.115 ] || {
        refuse_squashfs format "it does not begin as a squashfs does (hsqs)"
        return 1
    }
    program_order=1
    to_number "${29}" "${30}"
    [ $number -eq 4 ] || {
        refuse_squashfs format "it is of version $number, and kernels read version 4"
        return 1
    }
    name_packer "${21}"
    to_number "${41}" "${42}" "${43}" "${44}" "${45}" "${46}" "${47}" "${48}"
    size=$(stat -c %s "$squashfs_path") && is_number_of_bytes "$size" || return 0
    [ $number -ge 96 ] && [ $number -le "$size" ] || {
        refuse_squashfs format "the file has $size bytes of its $number"
        return 1
    }
}

# is_number_of_bytes VALUE: is_number ends at ten digits, a file does not.
is_number_of_bytes() {
    case $1 in
        '' | *[!0-9]* | ????????????????*) return 1 ;;
    esac
}

# name_packer NUMBER: sets squashfs_packed to the compressor's name, for messages.
name_packer() {
    case $1 in
        1) squashfs_packed=gzip ;;
        2) squashfs_packed=lzma ;;
        3) squashfs_packed=lzo ;;
        4) squashfs_packed=xz ;;
        5) squashfs_packed=lz4 ;;
        6) squashfs_packed=zstd ;;
    esac
}
squashfs_packed=

# mount_squashfs: the loop device goes with the mount (LO_FLAGS_AUTOCLEAR).
mount_squashfs() {
    local said=''
    modprobe -a -q loop squashfs 2>/dev/null
    mount -t squashfs -o loop,ro "$squashfs_path" $nfs_root 2> /tmp/mount && return 0
    IFS= read -r said < /tmp/mount || :
    said=${said##*failed: }
    refuse_squashfs mount "${said:-mount failed without a word}${squashfs_packed:+ (it is packed by $squashfs_packed)}"
}

# open_squashfs: after the export is mounted; nothing to do where it is the tree itself.
open_squashfs() {
    [ -n "$squashfs_file" ] || return 0
    find_squashfs && check_squashfs && mount_squashfs
}

# close_root: what try_versions mounted, in its order.
close_root() {
    if [ -n "$squashfs_file" ]; then
        # It may not have come so far.
        umount $nfs_root 2>/dev/null || umount -l $nfs_root 2>/dev/null
    fi
    umount "$nfs_point" || umount -l "$nfs_point"
}

# report_squashfs WHERE: the code and the way out for attempt_result.
report_squashfs() {
    case $attempt_result in
        squashfs-missing)
            report PXE-INIT-root-squashfs-missing "$1: there is no squashfs" "$attempt_message" \
                "compare the name with the server's folder: ls -l; a link in it must stay within the export"
            ;;
        squashfs-unreadable)
            report PXE-INIT-root-squashfs-unreadable "$1: the squashfs cannot be read" "$attempt_message" \
                "chmod a+r, or export it no_root_squash; try another version by the mount option vers=; the server's log and its disk"
            ;;
        squashfs-format)
            report PXE-INIT-root-squashfs-format "$1: this is no whole squashfs" "$attempt_message" \
                "make it again (mksquashfs TREE FILE), and copy it whole: under another name, then mv"
            ;;
        squashfs-mount)
            report PXE-INIT-root-squashfs-mount "$1: the kernel does not mount the squashfs" "$attempt_message" \
                "are the modules squashfs and loop in the image, and is the kernel made for that compressor? dmesg tells more"
            ;;
    esac
}
