# shellcheck shell=dash
# Is the tree's init what the image's builder saw? Then a look at the sizes of the files that it is started from takes the
# place of asking the tree's own loader, which opens each of them over the network (program.sh). The image has in
# /etc/pxeinit/tree: the init, what it leads to, a large file, the build of the kernel, the paths, their modes and sizes, and
# of links also what they lead to.

known=no looked_at=
known_init= known_file= known_large= known_build= known_paths= known_facts=

# read_known: sets the known_ variables, empty ones where the image has nothing of the kind.
read_known() {
    {
        IFS= read -r known_init && IFS= read -r known_file && IFS= read -r known_large \
            && IFS= read -r known_build && IFS= read -r known_paths && IFS= read -r known_facts
    } 2>/dev/null < /etc/pxeinit/tree || known_init=
}

# look_at PATH...: sets looked_at to "MODE.SIZE" of each, "MODE.SIZE.TARGET" of links, as far as stat says something. To be
# called under set -f. (stat's %N is the name, of links followed by an arrow and the quoted target.)
look_at() {
    local word part=fact
    looked_at=
    for word in $(stat -c '%f.%s %N' "$@" 2>/dev/null); do
        case $part$word in
            name*) part=fact ;;
            'fact->') part=target ;;
            fact*) looked_at="$looked_at $word" part=name ;;
            target*) word=${word#?} looked_at=$looked_at.${word%?} part=fact ;;
        esac
    done
    looked_at=${looked_at# }
}

# look_known: succeeds, with known, tree_init and init_file set, where nothing has changed since, the links to the init and
# the kernel's image included.
look_known() {
    known=no
    read_known
    [ -n "$known_init" ] && [ "$known_init" = "${param_init:-$known_init}" ] && cd $nfs_root || return 1
    set -f
    # shellcheck disable=SC2086  # a list of words
    look_at $known_paths
    set +f
    cd /
    if [ "$looked_at" != "$known_facts" ]; then
        log_line "the tree's init is not as this image's builder saw it: looked at anew"
        return 1
    fi
    known=yes
    tree_init=$known_init init_file=$nfs_root$known_file
}
