# shellcheck shell=dash
# Leaving (phase handoff): systemd returns into /run/initramfs/shutdown by itself. Debian's sysvinit does not know that
# place, and would unmount the tree below its own feet: its scripts are led there.

sysvinit_leave=/run/initramfs/leave

# lead_sysvinit: of the last scripts, umountnfs.sh and umountfs have nothing to do any more; halt and reboot go on in
# memory.
lead_sysvinit() {
    local script
    tree_has /etc/init.d/sendsigs || return 0
    mkdir -p /run/sendsigs.omit.d
    ln -s ../initramfs/keeper/pids /run/sendsigs.omit.d/pxeinit 2>/dev/null
    for script in umountnfs.sh umountfs; do
        tree_has /etc/init.d/$script || continue
        # shellcheck disable=SC2016  # awk's own
        awk 'NR == 2 { print "[ \"${1-}\" != stop ] || exit 0 # pxeinit: '$sysvinit_leave' unmounts, in its order" } { print }' \
            "$resolved" > /tmp/replacement
        replace_file /etc/init.d/$script
    done
    for script in halt reboot; do
        tree_has /etc/init.d/$script || continue
        # shellcheck disable=SC2016  # awk's own
        awk -v leave="$sysvinit_leave " '/^[ \t]*(halt|reboot) -d -f/ { sub(/halt|reboot/, leave "&") } { print }' \
            "$resolved" > /tmp/replacement
        replace_file /etc/init.d/$script
    done
}

# keep_var: systemd would unmount /var while journald still writes there (it lets go of a /var whose unit it knows, and would
# fail with this one, which has none). With a unit that says so it stays until all has ended.
keep_var() {
    local units=/run/systemd/system
    case $layered$client_own in
        *' var '*) ;;
        *) return 0 ;;
    esac
    tree_has /usr/lib/systemd/systemd /lib/systemd/systemd || return 0
    make_unit_folders
    printf '%s\n' '[Unit]' 'Description=/var of this client' 'DefaultDependencies=no' '[Mount]' 'What=overlay' 'Where=/var' \
        'Type=overlay' > $units/var.mount
}

# watch_leaving: systemd is led there by itself, unless the server is silent then (leave-anyway). A FIFO of a socket unit is
# closed and removed by systemd without any program; that it conflicts with the targets also makes systemd read these now.
watch_leaving() {
    local verb units=/run/systemd/system
    tree_has /usr/lib/systemd/systemd /lib/systemd/systemd && command -v nc > /dev/null || return 0
    is_number "$root_port" || return 0
    mount -t proc -o nosuid,nodev,noexec proc $memory/proc || return 0
    make_unit_folders
    mkdir $memory/leaving
    mknod -m 600 $memory/leaving/shutdown p
    printf '%s\n' '[Unit]' 'Description=Asked for by nobody' '[Service]' 'Type=oneshot' \
        "ExecStart=$memory/bin/busybox true" > "$units/pxeinit-leave@.service"
    # A slice of their own would take all of them down at once.
    printf '%s\n' '[Unit]' 'Description=Way to %i without the server of the root' 'DefaultDependencies=no' \
        'IgnoreOnIsolate=yes' 'Conflicts=%i.target' '[Socket]' "ListenFIFO=$memory/leaving/%i" 'SocketMode=0600' \
        'RemoveOnStop=yes' 'Slice=system.slice' > "$units/pxeinit-leave@.socket"
    {
        printf '%s\n' '[Unit]'
        for verb in shutdown poweroff reboot halt kexec; do
            printf 'Wants=pxeinit-leave@%s.socket\n' $verb
        done
    } > $units/sysinit.target.d/pxeinit-leave.conf
    env -i PATH=/bin setsid chroot $memory @/busybox sh /leave-anyway "$root_address" "$root_port" \
        < /dev/null > /dev/null 2>&1 &
}
