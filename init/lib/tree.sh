# shellcheck shell=dash
# Phase tree: the farm, or in mode ro what is in memory. In the farm each entry at the top of the tree gets its counterpart in the tmpfs root:
#   run tmp proc sys dev var initrd   a real folder; var's content is copied
#   usr bin sbin lib*                 a bind mount of the tree's folder, etc a small overlay (unless pxeinit.farm=symlink)
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

# bind_folders: the tree's own folders, where a symbolic link would break what must not meet one.
bind_folders() {
    local name
    for name in $bound_folders; do
        [ -d "nfsroot/$name" ] && [ ! -L "nfsroot/$name" ] && [ ! -d "$name" ] || continue
        mkdir "$name"
        mount -o bind "nfsroot/$name" "$name" || {
            rmdir "$name"
            ln -s "nfsroot/$name" "$name"
            warn "/$name is a link: it could not be bound"
        }
    done
}

# layer_etc: /etc writable, at the cost of what is written: overlay, its upper layer in the tmpfs root; else a copy.
layer_etc() {
    local layers=$new_root/.pxeinit/etc own=
    [ -d nfsroot/etc ] && [ ! -L nfsroot/etc ] && [ ! -d etc ] || return 0
    mkdir etc
    (umask 077 && mkdir -p .pxeinit)
    mkdir -p "$layers/upper" "$layers/work"
    if [ -n "$client_folder" ] && [ -d "$client_folder/etc" ] && [ ! -L "$client_folder/etc" ]; then
        own=$client_folder/etc:
    fi
    if ! mount -t overlay -o "lowerdir=$own$tree_root/etc,upperdir=$layers/upper,workdir=$layers/work" overlay etc; then
        if [ -n "$own" ]; then
            rmdir etc
            report_clients "/etc of this client could not be mounted" "there is no overlay"
            return 1
        fi
        warn "no overlay for /etc: it is copied"
        copy_stream "$tree_root/etc" etc . || {
            rm -rf etc
            report PXE-INIT-tree-etc "/etc could not be copied into memory" "$stream_message" \
                "put the module overlay into the image, or use pxeinit.farm=symlink"
            return 1
        }
    fi
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

# layer_folder NAME: mode ro. What is written in /NAME stays in memory; below it the client's own, below that the tree's.
layer_folder() {
    local name="$1" target own='' layers=$run_dir/memory/$1
    case $layered in
        # An earlier attempt's.
        *" $name "*) return 0 ;;
    esac
    resolve_in_tree "$new_root" "/$name" && [ -d "$resolved" ] && is_layer "$resolved" || return 0
    target=$resolved
    if [ -n "$client_folder" ] && [ -d "$client_folder/$name" ] && [ ! -L "$client_folder/$name" ]; then
        own=$client_folder/$name:
    fi
    mkdir -p "$layers/upper" "$layers/work"
    if mount -t overlay -o "lowerdir=$own$target,upperdir=$layers/upper,workdir=$layers/work" overlay "$target"; then
        layered="$layered$name "
        return 0
    fi
    if [ -n "$own" ]; then
        report_clients "/$name of this client could not be mounted" "there is no overlay"
        return 1
    fi
    warn "no overlay: /$name stays read-only"
}
layered=' '

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
            if [ -d "$new_root/tmp" ] && [ ! -L "$new_root/tmp" ]; then
                mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$new_root/tmp" || warn "no tmpfs: /tmp stays read-only"
            fi
            layered="${layered}tmp "
            ;;
    esac
    layer_folder etc && layer_folder var
}

fill_farm() {
    cd "$new_root" || return 1
    mkdir -p run tmp proc sys dev initrd
    chmod 1777 tmp
    link_entries linked ln -s && link_entries copied cp -d || {
        report PXE-INIT-tree-links "the farm of links is incomplete" "the message above is the program's word" \
            "is there memory left? pxeinit.mode=overlay or ro needs less"
        return 1
    }
    if [ "$param_farm" = bind ]; then
        bind_folders
        layer_etc || return 1
    fi
    # The tree's /var may be a link, which means a place in the tree.
    if [ ! -d var ] && resolve_in_tree "$tree_root" /var && [ -d "$resolved" ]; then
        mkdir var
        copy_var "$resolved" || {
            rm -rf var
            report PXE-INIT-tree-var "/var could not be copied into memory" "$stream_message" \
                "more memory, a smaller or readable /var in the tree, or pxeinit.mode=overlay"
            return 1
        }
    fi
    mkdir -p var
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
