# shellcheck shell=dash
# Is the mounted tree what it seems? Three mounts succeed and are useless: owners mapped to nobody (systemd comes up
# degraded, mount(8) says "must be superuser"), reads that end in EIO (READ_PLUS of some servers), and large folders that
# cannot be listed (READDIR of newer kernels against some servers). Each is found here in a round trip or two.

tree_init= init_file= tree_fault= tree_message=

# large_folders: where an installed system has many entries; the first two that exist are listed.
large_folders="usr/lib/systemd/system usr/bin lib/systemd/system bin usr/sbin etc"

# check_owner: "/" of a system tree belongs to root.
check_owner() {
    local owner reason=
    # With the dot, which only those find who may enter the folder.
    owner=$(stat -c %u $nfs_root/. 2> /tmp/read) || {
        tree_fault=unreadable
        tree_message="/ cannot be looked at"
        IFS= read -r reason < /tmp/read || :
        case $reason in
            *'ermission denied'*)
                tree_fault=denied
                tree_message="this client may not enter /"
                ;;
        esac
        return 1
    }
    [ "$owner" != 0 ] || return 0
    tree_fault=owner
    tree_message="/ belongs to uid $owner, not to root"
    return 1
}

# find_init: sets tree_init to the init of the tree, and init_file to the file that it means.
find_init() {
    local candidate
    if [ -n "$param_init" ]; then
        set -- "$param_init"
    else
        set -- /sbin/init /usr/lib/systemd/systemd /lib/systemd/systemd /bin/init /etc/init
    fi
    for candidate; do
        if resolve_in_tree $nfs_root "$candidate" && [ -f "$resolved" ]; then
            tree_init=$candidate
            init_file=$resolved
            return 0
        fi
    done
    tree_fault=no-init
    tree_message="neither ${param_init:-/sbin/init nor systemd is} there"
    [ -z "$param_init" ] || tree_message="$param_init is not there"
    return 1
}

# find_large_file: sets large_file to a file of the tree that is larger than any read-ahead (128 KiB), if one of the usual
# ones is there: an answer that ends before the end of the file is what some servers get wrong (READ_PLUS).
find_large_file() {
    local file
    if [ $known = yes ] && [ -n "$known_large" ]; then
        large_file=$nfs_root$known_large
        return 0
    fi
    set -- "$nfs_root"/usr/lib/systemd/libsystemd-shared-*.so "$nfs_root"/usr/lib/*/libc.so.6 "$nfs_root"/lib/*/libc.so.6
    for file in "$@" $nfs_root/usr/lib64/libc.so.6 $nfs_root/lib64/libc.so.6 $nfs_root/usr/bin/bash $nfs_root/bin/bash \
        $nfs_root/bin/busybox $nfs_root/usr/bin/busybox $nfs_root/usr/bin/perl; do
        if resolve_in_tree $nfs_root "${file#"$nfs_root"}" && [ -f "$resolved" ]; then
            large_file=$resolved
            return 0
        fi
    done
    return 1
}

# read_files FILE...: their first 384 KiB; no error, and not nothing at all.
read_files() {
    local file reason=''
    for file; do
        if [ -s "$file" ] && dd if="$file" of=/dev/null bs=131072 count=3 2> /tmp/read; then
            continue
        fi
        tree_fault=unreadable
        tree_message="${file#"$nfs_root"} cannot be read"
        [ ! -s "$file" ] || IFS= read -r reason < /tmp/read || :
        # "dd: FILE: REASON"; after an error in the middle it may be another line.
        case $reason in
            *[a-z]': '*) tree_message="${file#"$nfs_root"}: ${reason##*: }" ;;
        esac
        return 1
    done
}

# check_init: it and a large file can be read, and it may be executed. What is read here, the real system reads again from
# the same cache.
check_init() {
    set -- "$init_file"
    if find_large_file; then
        set -- "$init_file" "$large_file"
    fi
    read_files "$@" || return 1
    [ -x "$init_file" ] && return 0
    tree_fault=no-init
    tree_message="$tree_init is not executable"
    return 1
}

# count_errors: sets errors to what the kernel counted on this mount for the operations of a listing (mountstats, its last
# column since Linux 5.3). A shell sees the end of a list and an error as the same thing. GETATTR counts too: newer kernels
# ask for a delegation of the folder with it, and some servers spoil the whole answer then.
count_errors() {
    # shellcheck disable=SC2016  # awk's own
    errors=$(awk -v point=$nfs_root '
        $1 == "device" { here = ($5 == point) }
        here && $1 ~ /^(GETATTR|READDIR|READDIRPLUS):$/ && NF >= 10 { sum += $10 }
        END { print sum + 0 }' /proc/self/mountstats 2>/dev/null)
    is_number "$errors" || errors=0
}

# list_folder FOLDER: sets entries to the number of its names; fails when the kernel says that it cannot be opened.
list_folder() {
    set -- "$1" "$1"/*
    entries=$(($# - 1))
    [ ! -e "$2" ] && [ ! -L "$2" ] || return 0
    # An empty folder, or one that did not open.
    entries=0
    ls "$1" > /dev/null 2>&1
}

# check_listing: the tree's own folder, of which the root is made, and two large ones, whole. Something that is mounted in the
# tree on the server (a chroot's /proc) is enough for some servers to give an error in the place of the list.
check_listing() {
    local folder listed=0
    if ! list_folder $nfs_root || [ $entries -eq 0 ]; then
        tree_fault=listing
        tree_message="/ cannot be listed: is something mounted in the tree on the server, such as /proc?"
        return 1
    fi
    for folder in $large_folders; do
        resolve_in_tree $nfs_root "/$folder" && [ -d "$resolved" ] || continue
        folder=$resolved
        # Twice: it is the second opening of a folder for which newer kernels ask for the delegation.
        if ! list_folder "$folder" || ! list_folder "$folder"; then
            tree_fault=listing
            tree_message="${folder#"$nfs_root"} cannot be listed"
            return 1
        fi
        [ $entries -eq 0 ] || listed=$((listed + 1))
        [ $listed -lt 2 ] || break
    done
    count_errors
    if [ "$errors" -ne 0 ]; then
        tree_fault=listing
        tree_message="listing folders ends in errors ($errors counted by the kernel)"
        return 1
    fi
    [ $listed -eq 0 ] || return 0
    tree_fault=listing
    tree_message="none of its folders ($large_folders) shows an entry"
    return 1
}

# check_tree: of $nfs_root; sets tree_fault and tree_message where it fails.
check_tree() {
    check_owner && { look_known || find_init; } || return 1
    check_init && check_program && check_listing
}
