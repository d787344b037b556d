# shellcheck shell=dash
# Phase tree: the farm, or in mode ro what is in memory. In the farm each entry at the top of the tree gets its counterpart in
# the tmpfs root:
#   run tmp proc sys dev initrd       a real folder
#   usr bin sbin lib*                 a bind mount of the tree's folder (unless pxeinit.farm=symlink)
#   etc var                           a small overlay (pxeinit.farm=symlink: etc is a link, var a copy)
#   a symbolic link                   the same link
#   anything else                     a link into /nfsroot

real_folders=" run tmp proc sys dev var initrd nfsroot "
bound_folders=" usr bin sbin lib lib32 lib64 libx32 libo32 "
package_folders=" lib/dpkg lib/apt lib/rpm lib/pacman lib/dnf cache/apt cache/pacman cache/dnf cache/zypp cache/debconf "

# sort_entry NAME: sets entry_kind to real, bound, etc, copied or linked.
sort_entry() {
    entry_kind=linked
    case $1 in
        # "run tmp" is in none of the lists.
        *' '*) ;;
        *)
            case $real_folders in
                *" $1 "*)
                    entry_kind=real
                    return 0
                    ;;
            esac
            ;;
    esac
    if [ -L "nfsroot/$1" ]; then
        entry_kind=copied
    elif [ "$param_farm" = bind ] && [ -d "nfsroot/$1" ]; then
        case $1 in
            etc) entry_kind=etc ;;
            *' '*) ;;
            *)
                case $bound_folders in
                    *" $1 "*) entry_kind=bound ;;
                esac
                ;;
        esac
    fi
}

# link_entries KIND COMMAND...: gives COMMAND all the entries of that kind at once; names may hold anything but a slash.
link_entries() {
    local wanted="$1" entry name
    shift
    local words=$#
    for entry in nfsroot/* nfsroot/.[!.]* nfsroot/..?*; do
        name=${entry#nfsroot/}
        # A pattern without a match stays as it is.
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        sort_entry "$name"
        [ $entry_kind = "$wanted" ] || continue
        # What an earlier attempt left is done.
        [ ! -e "./$name" ] && [ ! -L "./$name" ] || continue
        set -- "$@" "$entry"
    done
    [ $# -gt $words ] || return 0
    "$@" .
}

# make_folders: all of the farm's at once. What is mounted on them, or copied into them, is in the list placed when it is done.
make_folders() {
    local name
    set -- run tmp proc sys dev initrd var
    if [ "$param_farm" = bind ]; then
        [ -d .pxeinit ] || (umask 077 && mkdir .pxeinit)
        for name in etc $bound_folders; do
            ! is_own_folder "$name" || set -- "$@" "$name"
        done
        for name in etc var; do
            set -- "$@" ".pxeinit/$name/upper" ".pxeinit/$name/work"
        done
    fi
    mkdir -p "$@" && chmod 1777 tmp
}
placed=' '

# is_own_folder NAME: of the tree, at its top, and no link.
is_own_folder() {
    [ -d "nfsroot/$1" ] && [ ! -L "nfsroot/$1" ]
}

# is_placed NAME
is_placed() {
    case $placed in
        *" $1 "*) ;;
        *) return 1 ;;
    esac
}

# bind_folders: the tree's own folders, where a symbolic link would break what must not meet one.
bind_folders() {
    local name
    for name in $bound_folders; do
        is_own_folder "$name" && ! is_placed "$name" || continue
        placed="$placed$name "
        mount -o bind "nfsroot/$name" "$name" || {
            rmdir "$name"
            ln -s "nfsroot/$name" "$name"
            warn "/$name is a link: it could not be bound"
        }
    done
}

# mount_layers LOWER LAYERS TARGET: an overlay; what is written there is kept in LAYERS.
mount_layers() {
    [ -d "$2/work" ] || mkdir -p "$2/upper" "$2/work"
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$3"
}

# layer NAME FOLDER LAYERS TARGET: TARGET becomes FOLDER of the tree, with the client's own NAME over it, writable at the cost of
# what is written. Sets layer_own to the client's own.
layer() {
    layer_own=
    if [ -n "$client_folder" ] && is_client_entry "$1"; then
        layer_own=$client_folder/$1:
    fi
    is_layer "$2" && mount_layers "$layer_own$2" "$3" "$4" && layered="$layered$1 "
}
layered=' ' # the top folders that have such a layer
layer_own=

# do_without NAME WARNING: there is no such layer, which is a failure if the client has a folder of its own for it.
do_without() {
    if [ -n "$layer_own" ]; then
        report_clients "/$1 of this client could not be mounted" "there is no overlay"
        return 1
    fi
    warn "$2"
}

# layer_top NAME FOLDER: ./NAME in the farm, its layers in the tmpfs root.
layer_top() {
    layer "$1" "$2" "$new_root/.pxeinit/$1" "$1" && placed="$placed$1 "
}

place_etc() {
    is_own_folder etc && ! is_placed etc || return 0
    ! layer_top etc "$tree_root/etc" || return 0
    do_without etc "no overlay for /etc: it is copied" || return 1
    copy_stream "$tree_root/etc" etc . || {
        rm -rf etc
        report PXE-INIT-tree-etc "/etc could not be copied into memory" "$stream_message" \
            "put the module overlay into the image, or use pxeinit.farm=symlink"
        return 1
    }
    placed="${placed}etc "
}

# tree_mounts NAME: does the tree itself mount something on /NAME, by a unit of the site's or its fstab(5)? What is mounted
# there already, systemd would leave as it is.
tree_mounts() {
    local device point
    ! resolve_in_tree "$tree_root" "/etc/systemd/system/$1.mount" || return 0
    resolved=$client_folder/etc/fstab
    [ -n "$client_folder" ] && [ -f "$resolved" ] && [ ! -L "$resolved" ] || resolve_in_tree "$tree_root" /etc/fstab || return 1
    [ -r "$resolved" ] || return 1
    while read -r device point _; do
        case $device in
            '#'*) continue ;;
        esac
        [ "$point" != "/$1" ] || return 0
    done < "$resolved"
    return 1
}

# place_var: the tree's /var may be a link, which means a place in the tree.
place_var() {
    local folder
    ! is_placed var && resolve_in_tree "$tree_root" /var && [ -d "$resolved" ] || return 0
    folder=$resolved
    if [ "$param_farm" = bind ] && ! tree_mounts var; then
        ! layer_top var "$folder" || return 0
        do_without var "no overlay for /var: it is copied" || return 1
    fi
    copy_var "$folder" || {
        rm -rf var
        report PXE-INIT-tree-var "/var could not be copied into memory" "$stream_message" \
            "more memory, a smaller or readable /var in the tree, the module overlay in the image, or pxeinit.mode=overlay"
        return 1
    }
    placed="${placed}var "
}

# copy_stream FROM TO NAME...: one tar stream, so that no file costs a process and the reading runs ahead of the writing.
# Sets stream_message to what tar said when it fails.
copy_stream() {
    local from="$1" to="$2" file line
    shift 2
    rm -f /tmp/stream.failed
    { tar -C "$from" -cf - -- "$@" || : > /tmp/stream.failed; } 2> /tmp/stream.read \
        | tar -C "$to" -xf - 2> /tmp/stream.written || : > /tmp/stream.failed
    [ -e /tmp/stream.failed ] || return 0
    stream_message='tar failed without a word'
    for file in /tmp/stream.read /tmp/stream.written; do
        if IFS= read -r line < $file; then
            stream_message=$line
            break
        fi
    done
    return 1
}
stream_message=

# copy_var FROM: all of the tree's /var but the package databases, which stay where they are and can be read there.
copy_var() {
    local entry inner from="$1"
    local var=$new_root/var
    cd "$from" || return 1
    set --
    for entry in * .[!.]* ..?*; do
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        case $entry in
            lib | cache)
                mkdir -p "$var/$entry"
                for inner in "$entry"/* "$entry"/.[!.]* "$entry"/..?*; do
                    [ -e "$inner" ] || [ -L "$inner" ] || continue
                    case $package_folders in
                        *" $inner "*) ln -s "${from#"$new_root"}/$inner" "$var/$inner" ;;
                        *) set -- "$@" "$inner" ;;
                    esac
                done
                ;;
            *) set -- "$@" "$entry" ;;
        esac
    done
    cd "$new_root" || return 1
    [ $# -gt 0 ] || return 0
    copy_stream "$from" "$var" "$@"
}

# layer_folder NAME: mode ro. What is written in /NAME stays in memory.
layer_folder() {
    local target
    case $layered in
        # An earlier attempt's.
        *" $1 "*) return 0 ;;
    esac
    resolve_in_tree "$new_root" "/$1" && [ -d "$resolved" ] && is_layer "$resolved" || return 0
    target=$resolved
    ! tree_mounts "$1" || return 0
    layer "$1" "$target" "$run_dir/memory/$1" "$target" || do_without "$1" "no overlay: /$1 stays read-only"
}

# fill_memory: mode ro. The tree itself, but for what no system runs without: /etc, which says who a client is, /var and /tmp.
fill_memory() {
    case $layered in
        *" tmp "*) ;;
        *)
            mkdir -p $run_dir/memory
            mount -t tmpfs -o mode=0755 tmpfs $run_dir/memory || {
                report_writable "no tmpfs over /etc and /var" "the kernel refuses it"
                return 1
            }
            mkdir -p $run_dir/memory/etc/upper $run_dir/memory/etc/work $run_dir/memory/var/upper $run_dir/memory/var/work
            if [ -d "$new_root/tmp" ] && [ ! -L "$new_root/tmp" ] && ! tree_mounts tmp; then
                mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$new_root/tmp" || warn "no tmpfs: /tmp stays read-only"
            fi
            layered="${layered}tmp "
            ;;
    esac
    layer_folder etc && layer_folder var
}

fill_farm() {
    cd "$new_root" || return 1
    make_folders
    link_entries linked ln -s && link_entries copied cp -d || {
        report PXE-INIT-tree-links "the farm of links is incomplete" "the message above is the program's word" \
            "is there memory left? pxeinit.mode=overlay or ro needs less"
        return 1
    }
    if [ "$param_farm" = bind ]; then
        bind_folders
        place_etc || return 1
    fi
    place_var || return 1
}

phase_tree() {
    choose_client || return 1
    case $param_mode in
        farm) fill_farm || return 1 ;;
        ro) fill_memory || return 1 ;;
    esac
    cd /
    place_client || return 1
    fill_dev
}
