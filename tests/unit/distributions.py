"""Small trees after the layouts that distributions document, as their installers leave them on a disk."""

from tests.unit.small import Link, Tree

UNIT = "[Unit]\nDescription=x\n"
DAILY = f"{UNIT}[Timer]\nOnCalendar=daily\nPersistent=true\n"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
MACHINE_ID = "0123456789abcdef0123456789abcdef\n"
SYSTEMD: Tree = {
    "usr/lib/systemd/systemd": "",
    "usr/lib/systemd/system/systemd-fsck-root.service": UNIT,
    "usr/lib/systemd/system/systemd-remount-fs.service": UNIT,
    "usr/lib/systemd/system/systemd-hwdb-update.service": UNIT,
    "usr/lib/systemd/system/systemd-tmpfiles-clean.timer": "[Timer]\nOnBootSec=15min\nOnUnitActiveSec=1d\n",
    "usr/lib/systemd/system/timers.target.wants/systemd-tmpfiles-clean.timer": Link(
        "../systemd-tmpfiles-clean.timer"
    ),
    "usr/lib/systemd/system-generators/systemd-gpt-auto-generator": "",
    "etc/systemd/system/multi-user.target.wants/none.service": Link("/dev/null"),
    "etc/systemd/journald.conf": "[Journal]\n#Storage=auto\n",
    "etc/machine-id": MACHINE_ID,
    "var/lib/systemd/random-seed": "seed",
    "var/log/journal/0123/system.journal": "old",
}


def wanted(timer: str, text: str = DAILY) -> Tree:
    """Return a timer that is enabled."""
    return {
        f"usr/lib/systemd/system/{timer}": text,
        f"etc/systemd/system/timers.target.wants/{timer}": Link(f"/usr/lib/systemd/system/{timer}"),
    }


DEBIAN: Tree = {
    **SYSTEMD,
    **wanted("apt-daily.timer"),
    **wanted("logrotate.timer"),
    "lib": Link("usr/lib"),
    "etc/debian_version": "12.5\n",
    "etc/mtab": Link("../proc/self/mounts"),
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/fstab": (
        "# /etc/fstab: static file system information.\n"
        "UUID=aa / ext4 errors=remount-ro 0 1\nUUID=bb none swap sw 0 0\n"
        "/dev/sr0 /media/cdrom0 udf user,noauto 0 0\n"
    ),
    "etc/network/interfaces": (
        "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n\n"
        "allow-hotplug enp0s3\niface enp0s3 inet dhcp\n"
    ),
    "usr/sbin/sshd": "",
    "usr/lib/systemd/system/ssh.service": UNIT,
    "etc/ssh/ssh_host_ed25519_key": KEY,
    "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA root@installed\n",
    "etc/ssh/sshd_config": "",
    "usr/sbin/mount.nfs": "",
    "var/lib/dpkg/status": "Package: x\n",
    "var/lib/PackageKit/transactions.db": "db",
    "usr/sbin/rsyslogd": "",
}
FEDORA: Tree = {
    **SYSTEMD,
    **wanted("dnf-makecache.timer"),
    **wanted("raid-check.timer"),
    "lib": Link("usr/lib"),
    "etc/fedora-release": "Fedora release 40\n",
    "etc/mtab": Link("../proc/self/mounts"),
    "etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf"),
    "etc/fstab": "UUID=aa / btrfs subvol=root,compress=zstd:1 0 0\nUUID=bb /boot ext4 defaults 1 2\n",
    "usr/sbin/NetworkManager": "",
    "etc/NetworkManager/NetworkManager.conf": "[main]\n#plugins=keyfile\n",
    "etc/NetworkManager/system-connections/enp1s0.nmconnection": "[connection]\ntype=ethernet\n",
    "var/lib/NetworkManager/secret_key": "secret",
    "usr/sbin/sshd": "",
    "usr/lib/systemd/system/sshd.service": UNIT,
    "usr/lib/systemd/system/sshd-keygen@.service": UNIT,
    "etc/ssh/ssh_host_rsa_key": KEY,
    "etc/selinux/config": "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
    ".autorelabel": "",
    "usr/lib/systemd/system/selinux-autorelabel-mark.service": UNIT,
    "var/lib/selinux/targeted/active/policy.kern": "big",
    "var/cache/libdnf5/x/repodata": "big",
    "var/lib/dnf/history": "x",
    "usr/lib/sysimage/rpm/rpmdb.sqlite": "db",
}
OPENSUSE: Tree = {
    **SYSTEMD,
    **wanted("snapper-timeline.timer"),
    **wanted("backup-rpmdb.timer"),
    **wanted("logrotate.timer"),
    "lib": Link("usr/lib"),
    "etc/SUSE-brand": "openSUSE\n",
    "etc/resolv.conf": Link("/run/netconfig/resolv.conf"),
    "etc/fstab": "UUID=aa  /  btrfs  defaults  0  0\nUUID=aa  /var  btrfs  subvol=/@/var  0  0\n",
    "etc/sysconfig/network/ifcfg-lo": "STARTMODE='nfsroot'\n",
    "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\nZONE=public\n",
    "etc/sysconfig/network/ifcfg-eth1": "BOOTPROTO='dhcp'\nSTARTMODE='manual'\n",
    "usr/sbin/sshd": "",
    "usr/sbin/sshd-gen-keys-start": "",
    "usr/lib/systemd/system/sshd.service": UNIT,
    "etc/ssh/ssh_host_rsa_key": KEY,
    "var/lib/zypp/AnonymousUniqueId": "id",
    "var/cache/zypp/solv/x": "cache",
    "usr/lib/sysimage/rpm/Packages.db": "db",
}
ARCH: Tree = {
    **SYSTEMD,
    **wanted("archlinux-keyring-wkd-sync.timer"),
    **wanted("shadow.timer"),
    "lib": Link("usr/lib"),
    "sbin": Link("usr/bin"),
    "usr/sbin": Link("bin"),
    "etc/arch-release": "",
    "etc/mtab": Link("../proc/self/mounts"),
    "etc/resolv.conf": Link("/run/systemd/resolve/stub-resolv.conf"),
    "etc/fstab": "# <file system> <dir> <type> <options> <dump> <pass>\nUUID=aa\t/\text4\trw,relatime\t0 1\n",
    "etc/systemd/system/dbus-org.freedesktop.network1.service": Link(
        "/usr/lib/systemd/system/systemd-networkd.service"
    ),
    "etc/systemd/network/20-wired.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
    "etc/dhcpcd.conf": "hostname\nduid\n",
    "usr/bin/sshd": "",
    "usr/lib/systemd/system/sshd.service": UNIT,
    "usr/lib/systemd/system/sshdgenkeys.service": UNIT,
    "etc/ssh/ssh_host_rsa_key": KEY,
    "var/lib/pacman/local/x": "db",
    "var/lib/pacman/db.lck": "",
}
ALPINE: Tree = {
    "sbin/openrc": "",
    "etc/alpine-release": "3.20\n",
    "etc/mtab": Link("../proc/mounts"),
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/fstab": "UUID=aa\t/\text4\trw,relatime 0 1\n/dev/sda2\tswap\tswap\tdefaults\t0 0\n"
    "/dev/cdrom\t/media/cdrom\tiso9660\tnoauto,ro 0 0\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n",
    "etc/runlevels/boot/swap": Link("/etc/init.d/swap"),
    "etc/runlevels/boot/hostname": Link("/etc/init.d/hostname"),
    "etc/runlevels/boot/root": Link("/etc/init.d/root"),
    "etc/runlevels/sysinit/hwdrivers": Link("/etc/init.d/hwdrivers"),
    "etc/runlevels/boot/fsck": Link("/etc/init.d/fsck"),
    "etc/init.d/sshd": "#!/sbin/openrc-run\n",
    "usr/sbin/sshd": "",
    "etc/ssh/ssh_host_ed25519_key": KEY,
    "etc/machine-id": MACHINE_ID,
    "var/lib/dbus/machine-id": MACHINE_ID,
    "etc/periodic/daily/job": "",
    "var/cache/apk/x.apk": "package",
    "usr/lib/x": "",
}
ALL: dict[str, Tree] = {
    "debian": DEBIAN,
    "fedora": FEDORA,
    "opensuse": OPENSUSE,
    "arch": ARCH,
    "alpine": ALPINE,
}
