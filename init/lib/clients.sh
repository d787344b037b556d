# shellcheck shell=dash
# What one client has for itself: a folder of its own beside the shared tree (phase tree), a host name and SSH host keys
# (phase handoff). CLIENTS/NAME/etc, CLIENTS/NAME/var, ... where NAME is the first that is there of the hardware address,
# the host name, the group and "default".

client_folder=
client_own=' ' # the folders of it that are mounted

# report_clients WHAT WHY
report_clients() {
    report PXE-INIT-tree-clients "$1" "$2" "correct pxeinit.clients=, or the folder on the server"
}

# is_layer PATH: what the option lowerdir= takes as it is.
is_layer() {
    case $1 in
        *[!a-zA-Z0-9/._@%+=~-]*) return 1 ;;
    esac
}

# dash_mac MAC: sets dashed, in lower case; a colon has a meaning in the options of overlay.
dash_mac() {
    local rest
    lower_mac "$1"
    rest=$lowered
    dashed=
    while [ -n "$rest" ]; do
        dashed=$dashed${dashed:+-}${rest%%:*}
        case $rest in
            *:*) rest=${rest#*:} ;;
            *) rest= ;;
        esac
    done
}

# find_client_folder BASE FOLDER: sets client_folder to this client's folder in FOLDER of BASE; empty if there is none.
# Each name has passed an allow-list, so that none can lead elsewhere, and no link leads out of BASE.
find_client_folder() {
    local name names=
    client_folder=
    read_mac
    if [ -n "$lease_mac" ]; then
        dash_mac "$lease_mac"
        names=$dashed
    fi
    read_lease hostname
    for name in $names $lease_value $param_group default; do
        if resolve_in_tree "$1" "$2/$name" && [ -d "$resolved" ] && is_layer "$resolved"; then
            client_folder=$resolved
            add_state client "$name"
            say "tree: this client's own is in $2/$name"
            return 0
        fi
    done
}

# mount_clients: the second export, on /clients, as the root was mounted. What it sets is its own, not the root's.
mount_clients() {
    local nfs_point=/clients root_spec="$param_clients" root_servers root_server root_path root_options root_address
    local root_versions="$root_version" mount_result=failed mount_message=''
    split_root_spec && [ -n "$root_servers" ] || {
        quote_safely "$param_clients"
        report_clients "pxeinit.clients=$quoted cannot be used" "it must be /PATH, or SERVER:/PATH[,OPTIONS]"
        return 1
    }
    sort_options
    mkdir -p /clients
    # What an earlier attempt left.
    umount /clients 2>/dev/null
    for root_server in $root_servers; do
        resolve_host "$root_server" || {
            mount_message="no address for $root_server"
            continue
        }
        root_address=$resolved
        mount_nfs "${root_versions%% *}"
        [ $mount_result != ok ] || return 0
    done
    report_clients "$param_clients: the mount failed" "$mount_message"
    return 1
}

# choose_client: sets client_folder, by pxeinit.clients; the export's own /clients need not be there.
choose_client() {
    local base="$tree_root"
    client_folder=
    # Beside a squashfs, not in it: what one client has can be changed without making the file again.
    [ -z "$squashfs_file" ] || base=$medium
    case $param_clients in
        /* | '') find_client_folder "$base" "${param_clients:-/clients}" ;;
        *)
            mount_clients || return 1
            find_client_folder /clients ''
            ;;
    esac
    if [ -z "$client_folder" ] && [ -n "$param_clients" ]; then
        warn "there is no folder for this client in $param_clients"
    fi
    return 0
}

# is_client_entry NAME: may a client have this top folder for itself?
is_client_entry() {
    case $1 in
        usr | bin | sbin | lib | lib32 | lib64 | libx32 | libo32 | proc | sys | dev | run | tmp | initrd | nfsroot | .*)
            return 1
            ;;
        *[!a-zA-Z0-9._-]*) return 1 ;;
    esac
    [ -d "$client_folder/$1" ] && [ ! -L "$client_folder/$1" ]
}

# layer_client_folder NAME: over the tree's own, writable in memory. Modes farm (/etc and /var have theirs already)
# and overlay: one more layer of the whole is refused, for the client's folder lies inside the tree.
layer_client_folder() {
    local name="$1" below='' layers=$new_root/.pxeinit/$1
    [ "$param_mode" = farm ] || layers=$run_dir/overlay/top/client/$1
    if resolve_in_tree "$tree_root" "/$name" && [ -d "$resolved" ]; then
        is_layer "$resolved" || return 1
        below=:$resolved
    fi
    # A link of the farm's.
    [ ! -L "$new_root/$name" ] || rm "$new_root/$name"
    mkdir -p "$new_root/$name"
    mount_layers "$client_folder/$name$below" "$layers" "$new_root/$name" && client_own="$client_own$name "
}

# bind_client_folder NAME: in place of the tree's own. Modes ro (but for /etc and /var) and rw.
bind_client_folder() {
    if [ ! -d "$new_root/$1" ] || [ -L "$new_root/$1" ]; then
        warn "/$1 is no folder of the tree: the client's own cannot be mounted there"
        return 0
    fi
    mount -o bind "$client_folder/$1" "$new_root/$1" && client_own="$client_own$1 "
}

# place_client: each folder that this client has for itself, in its place.
place_client() {
    local entry name
    [ -n "$client_folder" ] || return 0
    for entry in "$client_folder"/* "$client_folder"/.[!.]*; do
        name=${entry##*/}
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        is_client_entry "$name" || {
            quote_safely "$name"
            warn "$quoted in the client's folder is left out: only folders can be a client's own, and not all"
            continue
        }
        case $layered in
            *" $name "*) continue ;;
        esac
        case $param_mode in
            farm | overlay) layer_client_folder "$name" ;;
            *) bind_client_folder "$name" ;;
        esac || {
            report_clients "/$name of this client could not be mounted" "the kernel refuses it; is the module overlay there?"
            return 1
        }
    done
}

# give_host_name: /etc/hostname, which would speak for all clients, says this one's.
give_host_name() {
    local file="$new_root/etc/hostname" name=''
    etc_is_ours && [ -d "$new_root/etc" ] && [ ! -L "$file" ] || return 0
    # What the client's own folder says is meant.
    [ -z "$client_folder" ] || [ ! -e "$client_folder/etc/hostname" ] || return 0
    read_lease hostname
    name=${lease_value%%.*}
    if [ -z "$name" ]; then
        { IFS= read -r name < "$file"; } 2>/dev/null || :
        case $name in
            '' | localhost) ;;
            *) return 0 ;;
        esac
        read_mac
        [ -n "$lease_mac" ] || return 0
        dash_mac "$lease_mac"
        name=pxe-$dashed
        printf '%s\n' "$name" > /proc/sys/kernel/hostname
    fi
    { printf '%s\n' "$name" > "$file"; } 2>/dev/null || warn "/etc/hostname cannot be written"
}

# give_ssh_keys: the tree's host keys would be every client's. The client's folder may have its own, else the tree's
# ssh-keygen makes some that live as long as this boot.
give_ssh_keys() {
    local key found=no
    etc_is_ours || return 0
    if [ -n "$client_folder" ]; then
        for key in "$client_folder"/etc/ssh/ssh_host_*_key; do
            [ ! -e "$key" ] || return 0
        done
    fi
    resolve_in_tree "$new_root" /etc/ssh && [ -d "$resolved" ] || return 0
    case $resolved in
        "$new_root"/nfsroot/*) return 0 ;;
    esac
    for key in "$resolved"/ssh_host_*_key "$resolved"/ssh_host_*_key.pub; do
        [ -e "$key" ] || [ -L "$key" ] || continue
        found=yes
        rm -f "$key" || {
            warn "/etc/ssh: the host keys that all clients share are still there"
            return 0
        }
    done
    [ $found = yes ] || return 0
    say "handoff: SSH host keys for this boot"
    timeout -s KILL 60 chroot "$new_root" /usr/bin/ssh-keygen -A > /dev/null 2>&1 \
        || warn "no SSH host keys: put some into the client's folder, etc/ssh"
}
