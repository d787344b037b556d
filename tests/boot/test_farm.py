"""What the client makes of a tree: the farm, /dev from its three sources, the two ways to switch."""

import io
import tarfile
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Tree
from tests.boot.quick import quick_boot

REAL = "run tmp proc sys dev var initrd"
ODD_NAMES = ("with space", ".hidden", "..two", "new\nline", "-dash", "star*", "quote'\"")


def test_every_entry_has_its_link(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Names with spaces, leading dots, newlines and more; links stay links, real folders are real."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        variant={"files": {f"{name}/inside": b"here" for name in ODD_NAMES}},
        commands={
            "odd": "for n in 'with space' .hidden ..two 'new\nline' -dash 'star*' 'quote'\\''\"'; do"
            ' printf "%s " "$(cat "/$n/inside")"; done; echo',
            "links": "readlink /srv /bin /vmlinuz",
            "real": f"for n in {REAL}; do [ -d /$n ] && [ ! -L /$n ] && echo $n; done",
            "count": "echo $(ls -A /nfsroot | wc -l) $(ls -A / | wc -l)",
            "tmp": "stat -c %a /tmp",
            "var": "diff -r --no-dereference /var /nfsroot/var && echo same; touch /var/new && echo new",
            "kinds": "findmnt -n -o FSTYPE /var; findmnt -n -o FSTYPE /etc",
            "modes": "stat -c '%a %u %g %n' /var/mail /var/tmp",
            "machine-id": "cat /etc/machine-id",
        },
    )
    assert report.sections["odd"].split() == ["here"] * len(ODD_NAMES)
    assert report.sections["links"].splitlines() == ["nfsroot/srv", "usr/bin", *_link(bookworm)]
    assert report.sections["real"] == REAL.replace(" ", "\n")
    assert report.sections["tmp"] == "1777"
    assert report.sections["var"].splitlines() == ["same", "new"]
    assert report.sections["kinds"].split() == ["overlay", "overlay"]
    assert report.sections["modes"].splitlines() == ["2775 0 8 /var/mail", "1777 0 0 /var/tmp"]
    assert len(report.sections["machine-id"]) == 32
    entries, farm = map(int, report.sections["count"].split())
    # nfsroot, initrd and the farm's own .pxeinit come on top.
    assert farm == entries + 3


def _link(tree: Tree) -> list[str]:
    return [str((tree.path / "vmlinuz").readlink())]


def dev_archive(prefix: str) -> bytes:
    """A dev.tar.gz as the HOWTO packs it: char devices, one of them of its own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, minor in (("null", 3), ("zero", 5), ("from-tar", 3)):
            node = tarfile.TarInfo(f"{prefix}{name}")
            node.type, node.devmajor, node.devminor, node.mode = tarfile.CHRTYPE, 1, minor, 0o666
            archive.addfile(node)
    return buffer.getvalue()


@pytest.mark.parametrize("prefix", ["dev/", pytest.param("./", marks=pytest.mark.long)])
def test_dev_from_archive(lab: Lab, bookworm: Tree, bookworm_image: Path, prefix: str) -> None:
    """pxeinit.dev=tar unpacks the tree's dev.tar.gz."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append="pxeinit.dev=tar",
        variant={"files": {"dev.tar.gz": dev_archive(prefix)}},
        commands={"dev": "stat -c '%t:%T %a %n' /dev/from-tar /dev/null; ls -d /dev/dev"},
    )
    assert report.state["dev"] == "tar"
    assert report.sections["dev"].splitlines()[:2] == ["1:3 666 /dev/from-tar", "1:3 666 /dev/null"]
    assert "cannot access '/dev/dev'" in report.sections["dev"]
    assert "warning" not in report.sections["log"]


def test_dev_copied(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """pxeinit.dev=copy takes the nodes that lie in the tree's /dev."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append="pxeinit.dev=copy",
        variant={"files": {"dev/from-tree": b"a file, for want of a node"}},
        commands={"dev": "cat /dev/from-tree; echo; stat -c '%t:%T' /dev/null"},
    )
    assert report.state["dev"] == "copy"
    assert report.sections["dev"].splitlines() == ["a file, for want of a node", "1:3"]


def test_dev_of_the_kernel(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """pxeinit.dev=devtmpfs, named; what lies in the tree stays there."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append="pxeinit.dev=devtmpfs",
        variant={"files": {"dev.tar.gz": dev_archive("dev/")}},
        commands={"dev": "stat -c '%t:%T' /dev/null; ls /dev/from-tar"},
    )
    assert report.state["dev"] == "devtmpfs"
    assert report.mounts["/dev"][1] == "devtmpfs"
    assert "cannot access" in report.sections["dev"]


def test_pivot_root(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """From a real mount: the initramfs moves into a tmpfs, which stays in /initrd with its programs."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append="pxeinit.switch=pivot_root",
        commands={"old": "/initrd/bin/busybox echo alive; ls /initrd/lib/pxeinit/shutdown; ls /initrd/lib"},
    )
    assert report.state["switch"] == "pivot_root"
    assert report.sections["pid"] == "1"
    assert report.mounts["/"][1] == "tmpfs"
    assert report.mounts["/initrd"][1] == "tmpfs"
    assert report.sections["old"].splitlines() == ["alive", "/initrd/lib/pxeinit/shutdown", "pxeinit"]


@pytest.mark.parametrize(("mode", "kind"), [("overlay", "overlay"), ("ro", "nfs4"), ("rw", "nfs4")])
def test_other_modes(lab: Lab, bookworm: Tree, bookworm_image: Path, mode: str, kind: str) -> None:
    """The tree under an overlay, or the tree itself."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append=f"pxeinit.mode={mode}",
        nfs={"read_only": mode != "rw"},
        commands={"write": "touch /srv/written && echo could"},
    )
    assert report.state["mode"] == mode
    assert report.mounts["/"][1] == kind
    assert (report.sections["write"] == "could") == (mode != "ro")


def test_legacy_resolv_conf_link(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The resolver's file goes where the tree's own link points, here into /var as the HOWTO has it."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        variant={"links": {"etc/resolv.conf": "../var/resolv.conf"}},
        commands={"link": "readlink /etc/resolv.conf; cat /var/resolv.conf"},
    )
    assert report.sections["link"].splitlines() == ["../var/resolv.conf", f"nameserver {SERVER}"]
