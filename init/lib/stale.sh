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

# read_build FILE: sets build to what a kernel file of x86 says of itself, "RELEASE (BUILDER) BUILD"; that part of it is not
# compressed (boot.rst: "HdrS" at 0x202; kernel_version at 0x20e points to the text, less 0x200).
read_build() {
    local skip
    build=
    read_bytes "$1" 514 14
    # shellcheck disable=SC2086  # numbers
    set -- "$1" $bytes
    [ $# -eq 15 ] && [ "$2.$3.$4.$5" = 72.100.114.83 ] || return 1
    skip=$((${14} + ${15} * 256 + 512))
    # One block, that far from the beginning.
    dd if="$1" of=/tmp/header bs=$skip skip=1 count=1 2>/dev/null || return 1
    # The text ends with a NUL, and the shell leaves NULs out.
    IFS= read -r build < /tmp/header || [ -n "$build" ]
}

# check_build: the same release may have been built again.
check_build() {
    local file build='' running
    IFS= read -r running < /proc/sys/kernel/version || return 0
    case $known.$known_build in
        yes."$kernel_release ("*"$running"*) return 0 ;;
    esac
    for file in "/boot/vmlinuz-$kernel_release" "/lib/modules/$kernel_release/vmlinuz"; do
        resolve_in_tree $nfs_root "$file" && [ -f "$resolved" ] && read_build "$resolved" || continue
        case $build in
            "$kernel_release ("*"$running"*) return 0 ;;
            "$kernel_release ("*)
                tr '\0' '\n' < /tmp/header > /tmp/build
                IFS= read -r build < /tmp/build || :
                quote_safely "${build##*) }"
                report_stale "kernel and image are stale: the tree has another build of $kernel_release" \
                    "the tree's is $quoted, this one '$running'" "publish the tree's kernel, and an image made of it"
                return 0
                ;;
        esac
    done
}
