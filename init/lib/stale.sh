# shellcheck shell=dash
# Do the kernel that runs and the tree belong together? Kernel and image are copies out of a tree, which may have been
# upgraded since: the boot then goes on, and every module that is loaded later is missing, or refused.

# is_older RELEASE RELEASE: by their numbers, one after another.
is_older() {
    awk -v first="$1" -v second="$2" 'BEGIN {
        count = split(first, a, /[^0-9]+/)
        split(second, b, /[^0-9]+/)
        for (i = 1; i <= count; i++) if (a[i] + 0 != b[i] + 0) exit !(a[i] + 0 < b[i] + 0)
        exit 1
    }'
}

# report_stale WHAT WHY TRY
report_stale() {
    report PXE-INIT-root-stale "$1" "$2" "$3; the boot goes on, but modules cannot be loaded later"
}

# check_modules: are the tree's modules those of this kernel?
check_modules() {
    local folder release newest=''
    [ "$kernel_release" != unknown ] && resolve_in_tree $nfs_root /lib/modules || return 0
    for folder in "$resolved"/*; do
        release=${folder##*/}
        # The name is only shown, and compared.
        is_interface "$release" || is_hostname "$release" || continue
        [ -d "$folder" ] || continue
        if [ "$release" = "$kernel_release" ]; then
            check_build
            return 0
        fi
        if [ -z "$newest" ] || is_older "$newest" "$release"; then
            newest=$release
        fi
    done
    # A tree without any modules has none to be stale.
    [ -n "$newest" ] || return 0
    if is_older "$newest" "$kernel_release"; then
        report_stale "the tree is stale: it has the modules of $newest, the kernel is $kernel_release" \
            "the tree was not upgraded, or another one is exported" "install that kernel in the tree"
    else
        report_stale "kernel and image are stale: they are $kernel_release, the tree has the modules of $newest" \
            "the tree was upgraded after they were made" "publish the tree's kernel, and an image made of it"
    fi
}

# check_build: the same release may have been built again. A kernel file of x86 shows its build in its header, which is
# not compressed (boot.rst, kernel_version).
check_build() {
    local file line build
    IFS= read -r build < /proc/sys/kernel/version || return 0
    for file in "/boot/vmlinuz-$kernel_release" "/lib/modules/$kernel_release/vmlinuz"; do
        resolve_in_tree $nfs_root "$file" && [ -f "$resolved" ] || continue
        head -c 65536 "$resolved" 2>/dev/null | tr '\0' '\n' > /tmp/header
        while IFS= read -r line; do
            case $line in
                "$kernel_release ("*"$build"*) return 0 ;;
                "$kernel_release ("*)
                    quote_safely "${line##*) }"
                    report_stale "kernel and image are stale: the tree has another build of $kernel_release" \
                        "the tree's is $quoted, this one '$build'" "publish the tree's kernel, and an image made of it"
                    return 0
                    ;;
            esac
        done < /tmp/header
    done
}
