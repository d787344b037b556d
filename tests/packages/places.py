"""The Debian systems that packages are built, installed and tried in; pxelab keeps them in its cache."""

RUNTIME = ("python3-click", "python3-libarchive-c", "python3-pyelftools", "python3-zstandard")
BUILD = (
    *RUNTIME,
    "build-essential",
    "busybox-static",
    "cpio",
    "debhelper",
    "dh-python",
    "kmod",
    "lintian",
    "pybuild-plugin-pyproject",
    "python3-all",
    "python3-hatchling",
    "python3-hypothesis",
    "python3-pytest",
    "python3-pytest-xdist",
    "xz-utils",
    "zstd",
)
# What debian/tests/control names beside that.
TEST_BED = (
    *RUNTIME,
    "apt-utils",  # autopkgtest makes an archive of the packages with it
    "dnsmasq-base",
    "dpkg-dev",  # autopkgtest unpacks the source there
    "iproute2",
    "ipxe-qemu",
    "nfs-ganesha",
    "nfs-ganesha-vfs",
    "pxelinux",
    "qemu-system-x86",
    "seabios",
    "syslinux-common",
)
