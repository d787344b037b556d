# shellcheck shell=dash
# Is the tree's init what the image's builder saw? Then a look at the sizes of the files that it is started from takes the
# place of asking the tree's own loader, which opens each of them over the network (program.sh). The image has in
# /etc/pxeinit/tree: the init, what it leads to, a large file, the build of the kernel, the paths, their modes and sizes.

known=no
known_init= known_file= known_large= known_build= known_paths= known_facts=

# read_known: sets the known_ variables, empty ones where the image has nothing of the kind.
read_known() {
    {
        IFS= read -r known_init && IFS= read -r known_file && IFS= read -r known_large \
            && IFS= read -r known_build && IFS= read -r known_paths && IFS= read -r known_facts
    } 2>/dev/null < /etc/pxeinit/tree || known_init=
}

# look_known: succeeds, with known, tree_init and init_file set, where nothing has changed since, the links to the init and
# the kernel's image included. (Of links the length counts. They are followed by the kernel at the end.)
look_known() {
    local facts
    known=no
    read_known
    [ -n "$known_init" ] && [ "$known_init" = "${param_init:-$known_init}" ] && cd $nfs_root || return 1
    set -f
    # shellcheck disable=SC2086  # a list of words
    facts=$(stat -c %f.%s $known_paths 2>/dev/null)
    # shellcheck disable=SC2086  # a list of words
    set -- $facts
    set +f
    cd /
    if [ "$*" != "$known_facts" ]; then
        log_line "the tree's init is not as this image's builder saw it: looked at anew"
        return 1
    fi
    known=yes
    tree_init=$known_init init_file=$nfs_root$known_file
}
