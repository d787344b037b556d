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
# What the quick tests use beside that, as far as it is another one in another suite.
QUICK = (*BUILD, "musl-tools", "shellcheck")
# What autopkgtest needs in its test bed, where it unpacks the source and makes an archive of the packages,
# and what debian/tests/control names beside the package and what every tree of pxelab's has.
TEST_BED = (
    *RUNTIME,
    "apt-utils",
    "dpkg-dev",
    "ipxe-qemu",
    "nfs-ganesha-vfs",
    "pxelinux",
    "qemu-system-x86",
    "seabios",
    "syslinux-common",
)
