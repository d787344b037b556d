# shellcheck shell=dash
# Phase early: the kernel's own file systems, the run folder, the command line.

# mount_once TYPE TARGET OPTIONS: unless something is mounted there.
mount_once() {
    case $mounted in
        *" $2 "*) return 0 ;;
    esac
    [ -d "$2" ] || mkdir -p "$2"
    mount -t "$1" -o "$3" "$1" "$2" && mounted="$mounted$2 "
}

# read_mounts: sets mounted to the mount points, and root_type to the type of the current root.
read_mounts() {
    local point type rest
    mounted=' '
    root_type=rootfs
    [ -r /proc/self/mounts ] || return 0
    while IFS=' ' read -r _ point type rest; do
        : "$rest"
        mounted="$mounted$point "
        [ "$point" != / ] || root_type=$type
    done < /proc/self/mounts
}
mounted=' '
root_type=
kernel_release=unknown

phase_early() {
    local began="$uptime_now"
    read_mounts
    mount_once sysfs /sys nosuid,nodev,noexec
    # Without devtmpfs in the kernel, the image's own console and null remain.
    mount_once devtmpfs /dev nosuid,mode=0755 2>/dev/null || :
    mount_once tmpfs /run nosuid,nodev,mode=0755
    mkdir -p "$run_dir/lease"
    read_params
    if [ "$param_debug" = yes ]; then
        set -x
    fi
    if [ "$param_break" = early ]; then
        # Nobody could know it before.
        say_always "stopped in phase early, as pxeinit.break says"
        give_shell
    fi
    read_release
    check_signatures
    add_state phase.early "$began"
    add_state version "$image_version"
    write_module_settings
    # With one processor, the network's drivers come first: what waits for the network then leaves it to the others.
    ! has_processors || start_root_modules
}

# has_processors: several of them?
has_processors() {
    local online=0
    { IFS= read -r online < /sys/devices/system/cpu/online; } 2>/dev/null || :
    case $online in
        *[,-]*) ;;
        *) return 1 ;;
    esac
}

# read_release: sets kernel_release, and image_release for which the image was built.
read_release() {
    kernel_release=unknown
    image_release=
    image_version=unknown
    IFS= read -r kernel_release < /proc/sys/kernel/osrelease || :
    IFS= read -r image_release 2>/dev/null < /etc/pxeinit/release || :
    IFS= read -r image_version 2>/dev/null < /etc/pxeinit/version || :
    if [ -n "$image_release" ] && [ "$image_release" != "$kernel_release" ]; then
        report PXE-INIT-early-release "the kernel is $kernel_release, the image was built for $image_release" \
            "the loader serves a kernel and an image of different builds" \
            "publish both from the same tree; the boot goes on, but modules may be missing"
    fi
}

# check_signatures: modules that were stripped have none, and some kernels take no others.
check_signatures() {
    local enforced='' locked=''
    [ -e /etc/pxeinit/unsigned ] || return 0
    mount_once securityfs /sys/kernel/security nosuid,nodev,noexec 2>/dev/null || :
    { IFS= read -r enforced < /sys/module/module/parameters/sig_enforce; } 2>/dev/null || :
    { IFS= read -r locked < /sys/kernel/security/lockdown; } 2>/dev/null || :
    case $enforced:$locked in
        Y:* | *'[integrity]'* | *'[confidentiality]'*) ;;
        *) return 0 ;;
    esac
    report PXE-INIT-early-unsigned "this kernel takes signed modules only, and the image's have no signatures" \
        "Secure Boot, lockdown= or module.sig_enforce demands them; --strip-modules left them out" \
        "build the image without --strip-modules; the boot goes on, but its modules will be refused"
}

# start_root_modules: the file systems' modules load while the network comes up; wait_root_modules joins them. The mount
# asks the kernel for what is missing then, another version of NFS for example: the largest is only loaded where the
# command line does not say that it will not be used.
start_root_modules() {
    local version=nfsv4
    [ $root_modules = unasked ] || return 0
    root_modules=loading
    case ,$param_nfsroot,$param_root, in
        *,vers=3,* | *,nfsvers=3,* | *,v3,*) version=nfsv3 ;;
    esac
    modprobe -a -q nfs $version overlay &
    root_modules_pid=$!
}
root_modules=unasked root_modules_pid=

wait_root_modules() {
    [ $root_modules = loading ] || return 0
    wait "$root_modules_pid"
    root_modules=done
}
