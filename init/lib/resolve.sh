# shellcheck shell=dash
# A server's name to its address, and a path inside the tree to the file it means.

# resolve_host NAME: sets resolved to an address; names of the lease's search list are tried for a name without a dot.
resolve_host() {
    local domain
    resolved=
    if is_ipv4 "$1" || is_ipv6 "$1"; then
        resolved=$1
        return 0
    fi
    case $1 in
        *.*) ;;
        *)
            read_lease search
            if [ -z "$lease_value" ]; then
                read_lease domain
            fi
            for domain in $lease_value; do
                ask_dns "$1.$domain" && return 0
            done
            ;;
    esac
    ask_dns "$1"
}

# ask_dns NAME: sets resolved to the first address that a server of /etc/resolv.conf names: an IPv6 one where we have nothing
# but such an address.
ask_dns() {
    local line named=no type=a check=is_host_ipv4
    resolved=
    read_lease address
    if [ -z "$lease_value" ]; then
        read_lease address6
        [ -z "$lease_value" ] || type=aaaa check=is_host_ipv6
    fi
    timeout -s KILL 10 nslookup -type=$type "$1" > /tmp/dns 2>&1 || :
    # The answer's addresses stand behind its "Name:" line; those before are the server's.
    while IFS= read -r line; do
        case $line in
            Name:*) named=yes ;;
            Address*)
                [ $named = yes ] || continue
                line=${line##* }
                if $check "$line"; then
                    resolved=$line
                    return 0
                fi
                ;;
        esac
    done < /tmp/dns
    return 1
}

# read_tree_link PATH: sets target. Those of a tree's top (/lib, /bin) are met again and again, and each reading costs two
# processes: they are remembered, while a line of what is remembered can hold them.
read_tree_link() {
    case $links_known in
        *"$newline>$1$newline="*)
            target=${links_known#*"$newline>$1$newline="}
            target=${target%%"$newline"*}
            return 0
            ;;
    esac
    target=$(readlink "$1") || return 1
    case $1$target in
        *"$newline"*) ;;
        *) links_known="$links_known>$1$newline=$target$newline" ;;
    esac
}
# The variable is of drivers.sh.
links_known=$newline

# resolve_in_tree TREE PATH: sets resolved to TREE's own idea of PATH, every link followed as if TREE were "/", so that an
# absolute link or "../../.." leads nowhere else. Fails if nothing is there, or after 40 links.
resolve_in_tree() {
    local tree="$1" rest="$2" part target links=0
    resolved=
    while [ -n "$rest" ]; do
        rest=${rest#"${rest%%[!/]*}"}
        part=${rest%%/*}
        case $rest in
            */*) rest=${rest#*/} ;;
            *) rest= ;;
        esac
        case $part in
            '' | .) continue ;;
            ..)
                resolved=${resolved%/*}
                continue
                ;;
        esac
        if [ -L "$tree$resolved/$part" ]; then
            links=$((links + 1))
            [ $links -le 40 ] || return 1
            read_tree_link "$tree$resolved/$part" || return 1
            case $target in
                /*) resolved= ;;
            esac
            rest="$target/$rest"
            continue
        fi
        resolved=$resolved/$part
    done
    resolved=$tree$resolved
    [ -e "$resolved" ]
}
