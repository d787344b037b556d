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
