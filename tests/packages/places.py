"""The Debian systems that packages are built, installed and tried in; pxelab keeps them in its cache."""

RUNTIME = ("python3-click", "python3-libarchive-c", "python3-pyelftools", "python3-zstandard")
# What packaging/debian/control wants for a build (tests/unit/test_packaging.py holds it), and lintian.
BUILD = (
    *RUNTIME,
    "build-essential",
    "debhelper",
    "dh-python",
    "lintian",
    "pybuild-plugin-pyproject",
    "python3-all",
    "python3-hatchling",
    "python3-hypothesis",
    "python3-pytest",
)
# What the quick tests use beside that, as far as it is another one in another suite.
QUICK = (
    *BUILD,
    "busybox-static",
    "cpio",
    "kmod",
    "musl-tools",
    "python3-pytest-xdist",
    "shellcheck",
    "xz-utils",
    "zstd",
)
# Where the package of a suite is built: Debian 13's where its Python is tried too, which saves a system.
BUILT_IN = {"bookworm": BUILD, "trixie": QUICK}
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
