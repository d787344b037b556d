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
# What autopkgtest needs in its test bed: it unpacks the source there, and makes an archive of the packages.
TEST_BED = (*RUNTIME, "apt-utils", "dpkg-dev")
