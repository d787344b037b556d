"""`mkpxeinit publish`: what it says, its exit codes, and what is left of the TFTP root when it fails."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Done, Run
from tests.cli.test_bad_input import in_namespace
from tests.unit.small import RELEASE, kernel_tree, make_tree, module_bytes, module_path

WHEN = {"SOURCE_DATE_EPOCH": "1700000000"}
MAC = "52:54:00:00:00:01"


@pytest.fixture
def publish(run: Run, root: Path, tftp: Path) -> Run:
    """Publish the tree, under the name pc."""

    def publishing(*words: str | Path, **more: object) -> Done:
        given = ("--sysroot", root, "--name", "pc", "--tftp-root", tftp, "--bus", "none", *words)
        return run("publish", *given, **{"env": WHEN, **more})

    return publishing


def listing(folder: Path) -> dict[str, bytes]:
    """Return all files but the lock, which has no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def last(done: Done) -> str:
    return done.stderr.splitlines()[-1]


def test_published(publish: Run, run: Run, tftp: Path, root: Path) -> None:
    done = publish("--append", "quiet nfsroot=192.0.2.1:/pc", "--cmdline", "panic=9", "--driver", "e1000")
    assert (done.code, done.stdout) == (0, b"")
    assert f"mkpxeinit: {tftp}: pc.1 is published for tree pc: kernel {RELEASE}, image of " in last(done)
    assert "mkpxeinit: no grubnetaa64.efi on this machine or in the tree, " in done.stderr
    told = json.loads((tftp / "generations/pc.1/generation.json").read_text())
    assert told["created"] == 1700000000
    assert told["options"] == {"cmdline": "panic=9", "bus": [[]], "driver": ["e1000"]}
    assert told["sysroot"] == str(root)
    assert "append quiet nfsroot=192.0.2.1:/pc" in (tftp / "pxelinux.cfg/default").read_text()
    done = run("list", tftp / "generations/pc.1/pxeinit.img")
    assert module_path("e1000") in done.stdout.decode()
    assert (tftp / "pxelinux.0").is_file() and (tftp / "libutil.c32").is_file()
    # Once more: the same bytes, and nothing new.
    before = listing(tftp)
    done = publish("--append", "quiet nfsroot=192.0.2.1:/pc", "--cmdline", "panic=9", "--driver", "e1000")
    assert "pc.1 is served already, and nothing has changed for tree pc" in last(done)
    assert listing(tftp) == before


def test_the_name_is_that_of_the_folder(run: Run, root: Path, tftp: Path) -> None:
    assert run("publish", "--sysroot", root, "--tftp-root", tftp).code == 0
    assert (tftp / "generations/tree.1").is_dir()
    odd = root.with_name("bad name")
    root.rename(odd)
    done = run("publish", "--sysroot", odd, "--tftp-root", tftp)
    assert done.code == 2
    assert "'bad name' is not letters, digits, _ and -" in done.stderr
    assert "give the tree a name with --name" in done.stderr


def test_list_and_rollback(publish: Run, run: Run, tftp: Path) -> None:
    publish()
    publish("--append", "two")
    publish("--append", "three", "--group", "canary", "--mac", "52-54-00-00-00-01")
    done = run("publish", "--tftp-root", tftp, "--list")
    rows = [re.split("  +", line) for line in done.stdout.decode().splitlines()]
    assert [(row[0], row[-1]) for row in rows] == [
        ("generation", "used by"),
        ("pc.3", "group canary"),
        ("pc.2", "tree pc, previous of group canary"),
        ("pc.1", "previous of tree pc"),
    ]
    assert "2023-11-14 22:13 UTC" in rows[1]
    told = json.loads(run("publish", "--tftp-root", tftp, "--list", "--json").stdout)
    assert told["groups"] == {
        "canary": {"tree": "pc", "generation": "pc.3", "previous": "pc.2", "clients": [MAC]}
    }
    assert told["trees"] == {"pc": {"generation": "pc.2", "previous": "pc.1"}}
    assert [each["name"] for each in told["generations"]] == ["pc.3", "pc.2", "pc.1"]
    done = run("publish", "--rollback", "--tftp-root", tftp)
    assert (done.code, done.stderr) == (0, f"mkpxeinit: {tftp}: pc.1 is served for its tree\n")
    assert "generations/pc.1/" in (tftp / "pxelinux.cfg/default").read_text()
    done = run("publish", "--tftp-root", tftp, "--group", "canary", "--rollback")
    assert last(done) == f"mkpxeinit: {tftp}: pc.2 is served for group canary"
    done = run("publish", "--tftp-root", tftp, "--generation", "pc.3")
    assert last(done) == f"mkpxeinit: {tftp}: pc.3 is served for its tree"
    done = run("publish", "--tftp-root", tftp, "--group", "canary", "--generation", "tree")
    assert done.code == 0
    assert "generations/pc.3/" in (tftp / "pxelinux.cfg/01-52-54-00-00-00-01").read_text()
    done = run("publish", "--tftp-root", tftp, "--remove-group", "canary")
    assert last(done) == f"mkpxeinit: {tftp}: group canary is dissolved"
    assert not (tftp / "pxelinux.cfg/01-52-54-00-00-00-01").exists()


def test_a_group_of_what_is_there(publish: Run, run: Run, tftp: Path) -> None:
    publish()
    publish("--append", "two")
    words = ("--group", "old", "--mac", MAC, "--generation", "pc.1")
    done = run("publish", "--tftp-root", tftp, *words)
    assert done.code == 0, done.stderr
    assert "generations/pc.1/" in (tftp / "pxelinux.cfg/01-52-54-00-00-00-01").read_text()
    done = run("publish", "--tftp-root", tftp, "--keep", "1")
    assert (done.code, done.stderr) == (0, "")
    assert (tftp / "generations/pc.1").is_dir()


@pytest.mark.parametrize(
    "words, code, message",
    [
        ((), 2, "--sysroot is missing (or --list, --check, --rollback, --generation, --keep)"),
        (("--list", "--check"), 2, "one of --list, --check, --rollback, --generation, --remove-group"),
        (("--rollback", "--json"), 2, "--json is for --list and --check"),
        (("--mac", MAC, "--list"), 2, "--mac is for --group"),
        (("--group", "x", "--mac", "11:22"), 2, "'11:22' is not an Ethernet address"),
        (("--name", "a/b", "--list"), 2, "'a/b' is not letters, digits, _ and -"),
        (("--keep", "0"), 2, "0 is not in the range 1 or more"),
        (("--loader", "lilo", "--list"), 2, "there is no 'lilo'; there are: pxelinux"),
        (("--rollback", "--timeout", "5"), 2, "--timeout means nothing with --rollback"),
        (("--keep", "2", "--bus", "none"), 2, "--bus means nothing with --keep"),
        (("--list", "--keep", "2"), 2, "--keep means nothing with --list"),
        (("--check", "--append", "x"), 2, "--append means nothing with --check"),
        (("--remove-group", "x", "--group", "y"), 2, "--group means nothing with --remove-group"),
        (("--rollback",), 1, "tree pc has no previous generation; see mkpxeinit publish --list"),
        (("--rollback", "pc.7"), 1, "generations/pc.7/generation.json: no such generation"),
        (("--rollback", "--name", "x"), 1, "no tree 'x' is published here; there are: pc"),
        (("--generation", "x.1"), 1, "no tree 'x' is published here; there are: pc"),
        (("--generation", "../../x"), 1, "'../../x' is no generation's name, which is TREE.NUMBER"),
        (("--group", "x", "--rollback"), 1, "no group 'x' here; there are none"),
        (("--group", "x", "--generation", "pc.1"), 1, "no group 'x' here; there are none"),
        (("--remove-group", "x"), 1, "no group 'x' here; there are none"),
    ],
)
def test_wrong_words(
    publish: Run, run: Run, tftp: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    publish()
    before = listing(tftp)
    done = run("publish", "--tftp-root", tftp, *words)
    assert (done.code, done.stdout) == (code, b"")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert listing(tftp) == before


def test_nothing_published(run: Run, tftp: Path, root: Path) -> None:
    for words in (("--check",), ("--rollback",)):
        done = run("publish", "--tftp-root", tftp, *words)
        assert done.code == 1 and len(done.stderr.splitlines()) == 1
    assert run("publish", "--tftp-root", tftp, "--list").code == 0
    done = run("publish", "--tftp-root", tftp / "no", "--sysroot", root)
    assert done.code == 1
    assert f"TFTP root {tftp}/no: No such file or directory; make the folder that your TFTP server" in last(
        done
    )
    assert run("publish", "--sysroot", root).stderr.startswith("mkpxeinit: --tftp-root is missing")


def test_secrets(publish: Run, tftp: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    done = publish("--file", f"{secret}:/etc/secret")
    assert done.code == 1
    assert last(done) == (
        "mkpxeinit: the image: not for the eyes of the network, where every machine can read it: /etc/secret "
        "(mode 0600: not for everybody); leave that out, give it to the clients another way, or publish it "
        "all the same with --allow-secrets"
    )
    assert set(listing(tftp)) <= {"generations/published.json"}
    assert publish("--file", f"{secret}:/etc/secret", "--allow-secrets").code == 0


def test_a_given_image(publish: Run, run: Run, root: Path, tftp: Path, tmp_path: Path) -> None:
    image = tmp_path / "given.img"
    assert run("build", "--sysroot", root, "-o", image).code == 0
    assert publish("--image", image).code == 0
    assert (tftp / "generations/pc.1/pxeinit.img").read_bytes() == image.read_bytes()
    image.write_bytes(image.read_bytes()[:-1000])
    done = publish("--image", image)
    assert (done.code, f"{image}: " in last(done)) == (1, True)
    done = publish("--image", tmp_path / "no")
    assert (done.code, last(done)) == (1, f"mkpxeinit: {tmp_path}/no: No such file or directory")
    shutil.rmtree(root / f"lib/modules/{RELEASE}")
    make_tree(root, kernel_tree("9.9.9"))
    assert run("build", "--sysroot", root, "-o", image).code == 0
    (root / "boot/vmlinuz-9.9.9").unlink()
    done = publish("--image", image)
    assert f"{root}/: no kernel image of 9.9.9" in last(done)
    assert sorted(p.name for p in (tftp / "generations").glob("[!.]*")) == ["pc.1", "published.json"]


def test_a_root_that_may_not_be_written(publish: Run, root: Path, tftp: Path) -> None:
    publish()
    before = listing(tftp)
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99; shift; exec "$@"'
    done = publish("--append", "two", prefix=(*in_namespace(), "sh", "-c", script, "sh", str(tftp)))
    if os.geteuid() != 0 and done.code == 99:
        pytest.skip("no mounts for this user")
    assert done.code == 1
    assert last(done).startswith(
        f"mkpxeinit: {tftp}/generations/.lock: cannot write: Read-only file system; "
    )
    assert listing(tftp) == before


def test_a_full_disk(publish: Run, tftp: Path, tmp_path: Path) -> None:
    """Wherever it gets full, what was served is served, and nothing else is left."""
    assert publish("--compress", "none").code == 0
    used = sum(-(-len(data) // 4096) * 4 for data in listing(tftp).values()) + 4 * 5
    copy = Path(shutil.copytree(tftp, tmp_path / "copy"))
    script = (
        'mount -t tmpfs -o "size=$3k,mode=755" none "$1" && cp -a "$2/." "$1" || exit 99\n'
        'folder=$1; old=$2; shift 3; "$@"; code=$?\n'
        'rm -f "$folder/generations/.lock" "$old/generations/.lock"\n'
        'diff -qr "$folder" "$old" >&2 || exit 98; exit $code'
    )
    codes = []
    for kilobytes in (4, 60, 170, 180, 184, 188, 192, 196, 200, 204, 208, 5000):
        size = str(used + kilobytes)
        prefix = (*in_namespace(), "sh", "-c", script, "sh", str(tftp), str(copy), size)
        done = publish("--append", "two", "--compress", "none", prefix=prefix)
        if os.geteuid() != 0 and done.code == 99:
            pytest.skip("no tmpfs for this user")
        codes.append(done.code)
        if done.code == 98:  # there was room: the new generation is the difference
            assert "Only in" in done.stderr and ": pc.2" in done.stderr, done.stderr
        else:
            assert done.code == 1 and "No space left on device" in last(done), done.stderr
    assert codes.count(1) > 2 and codes[-1] == 98 and codes == sorted(codes)


def test_check_finds_nothing(publish: Run, run: Run, tftp: Path) -> None:
    publish()
    one = run("publish", "--tftp-root", tftp, "--check")
    assert one.stderr == f"mkpxeinit: {tftp}: 1 generation is served as it should be\n"
    publish("--append", "two", "--group", "canary", "--mac", MAC, "--timeout", "5")
    done = run("publish", "--tftp-root", tftp, "--check")
    assert (done.code, done.stdout) == (0, b"")
    assert done.stderr == f"mkpxeinit: {tftp}: 2 generations are served as they should be\n"
    assert json.loads(run("publish", "--tftp-root", tftp, "--check", "--json").stdout) == {
        "ok": True,
        "generations": ["pc.1", "pc.2"],
        "findings": [],
    }


def spoil(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


@pytest.mark.parametrize(
    "file, data, message",
    [
        ("generations/pc.1/vmlinuz", b"x", "pc.1/vmlinuz: damaged: not what generation.json says; publish"),
        ("generations/pc.1/pxeinit.img", None, "pc.1/pxeinit.img: missing; publish again, or --rollback"),
        ("generations/pc.1/generation.json", b"{}", "generation pc.1: {tftp}/generations/pc.1/generation"),
        ("pxelinux.cfg/default", None, "pxelinux.cfg/default: missing; publish again"),
        ("pxelinux.cfg/default", b"kernel linux\n", "pxelinux.cfg/default:1: names linux: no such file; "),
        ("pxelinux.cfg/default", b"#\n", "pxelinux.cfg/default: changed since mkpxeinit wrote it; move it"),
        ("pxelinux.cfg/01-00-00-00-00-00-02", b"ui x.c32\n", "-02:1: names x.c32: no such file"),
        ("grub/grub.cfg", b"\n\nlinux /gone\n", "grub/grub.cfg:3: names gone: no such file"),
        ("other.ipxe", b"#!ipxe\ninitrd gone\n", "other.ipxe:2: names gone: no such file"),
        ("ldlinux.c32", None, "ldlinux.c32: missing, and pxelinux.0 loads it; publish again (Deb"),
        ("libutil.c32", None, "libutil.c32: missing, and menu.c32 needs it ({tftp}/pxelinux.cfg/default:4"),
        ("menu.c32", b"x", "pxelinux.cfg/default:4: names menu.c32: {tftp}/menu.c32: not an ELF file"),
        ("grubx64.efi", None, "grubx64.efi: missing, and shimx64.efi loads it; publish again (Deb"),
    ],
)  # fmt: skip
def test_check_finds(publish: Run, run: Run, tftp: Path, file: str, data: bytes | None, message: str) -> None:
    publish("--timeout", "5")
    if file == "grubx64.efi" and not (tftp / file).exists():
        make_tree(tftp, {"shimx64.efi": b"", file: b""})
    spoil(tftp / file, data)
    done = run("publish", "--tftp-root", tftp, "--check")
    assert done.code == 1
    lines = done.stdout.decode().splitlines()
    assert any(message.format(tftp=tftp) in line for line in lines), lines
    assert all(line.count("; ") >= 1 for line in lines)
    assert re.search(r": (1 thing is|\d+ things are) wrong$", last(done))
    told = json.loads(run("publish", "--tftp-root", tftp, "--check", "--json").stdout)
    assert told["ok"] is False and len(told["findings"]) == len(lines)


def test_check_finds_what_cannot_be_read(publish: Run, run: Run, tftp: Path) -> None:
    publish()
    (tftp / "generations/pc.1/pxeinit.img").chmod(0o640)
    (tftp / "pxelinux.cfg").chmod(0o750)
    (tftp / "memtest").write_bytes(b"")
    (tftp / "memtest").chmod(0o600)
    tftp.chmod(0o700)
    lines = run("publish", "--tftp-root", tftp, "--check").stdout.decode().splitlines()
    assert lines[0] == f"{tftp}: a folder that not everybody may enter; chmod o+x {tftp}"
    assert {line.partition(":")[0].removeprefix(f"{tftp}/") for line in lines[1:]} == {
        "generations/pc.1/pxeinit.img", "pxelinux.cfg", "memtest",
    }  # fmt: skip
    assert (
        f"{tftp}/pxelinux.cfg: mode 0750: not readable for everybody, TFTP clients are told that there is no "
        f"such file; chmod o+rx {tftp}/pxelinux.cfg"
    ) in lines


def test_check_finds_links_that_lead_out(publish: Run, run: Run, tftp: Path, tmp_path: Path) -> None:
    publish()
    (tmp_path / "kernel").write_bytes(b"")
    (tftp / "linux").symlink_to(tmp_path / "kernel")
    (tftp / "pxelinux.cfg/01-00-00-00-00-00-02").write_text("kernel linux\n")
    lines = run("publish", "--tftp-root", tftp, "--check").stdout.decode().splitlines()
    assert len(lines) == 1
    assert (
        "names linux: a link that leads out of the TFTP root, where servers that chroot cannot follow"
        in lines[0]
    )


def test_check_compares_with_the_tree(publish: Run, run: Run, root: Path, tftp: Path) -> None:
    publish("--driver", "e1000", "--driver", "r8169")
    libphy = module_path("libphy")
    kernel, folder = root / f"boot/vmlinuz-{RELEASE}", root / f"lib/modules/{RELEASE}"
    kernel.write_bytes(b"MZ newer")
    (folder / module_path("e1000")).write_bytes(module_bytes("e1000") + b"x")
    (folder / module_path("libphy")).unlink()
    done = run("publish", "--tftp-root", tftp, "--check")
    assert done.code == 1
    assert done.stdout.decode().splitlines() == [
        f"generation pc.1: its kernel is stale: not the tree's {kernel} any more; publish again",
        f"generation pc.1: its image has modules that the tree has not: {libphy}; publish again",
        f"generation pc.1: modules of its image are not the tree's: {module_path('e1000')}; publish again",
    ]
    # A packed module with the same content is the same.
    module = folder / module_path("e1000")
    module.unlink()
    packed = subprocess.run(["xz", "-c"], input=module_bytes("e1000"), capture_output=True, check=True).stdout
    module.with_name("e1000.ko.xz").write_bytes(packed)
    assert b"e1000" not in run("publish", "--tftp-root", tftp, "--check").stdout
    shutil.rmtree(folder)
    lines = run("publish", "--tftp-root", tftp, "--check").stdout.decode().splitlines()
    assert lines == [
        f"generation pc.1: {root}/lib/modules has no modules of the served kernel {RELEASE}; there are: "
        "none; publish again"
    ]
    moved = root.with_name("moved")
    root.rename(moved)
    done = run("publish", "--tftp-root", tftp, "--check")
    assert "say where the tree is with --sysroot" in done.stdout.decode()
    make_tree(moved, kernel_tree())
    shutil.rmtree(moved)
    make_tree(moved, kernel_tree())
    assert run("publish", "--tftp-root", tftp, "--check", "--sysroot", moved).code == 0
    make_tree(moved, kernel_tree("9.9.9"))
    done = run("publish", "--tftp-root", tftp, "--check", "--sysroot", moved)
    assert done.code == 0
    assert f"mkpxeinit: generation pc.1: the tree has a newer kernel than {RELEASE}: 9.9.9" in done.stderr


def test_a_description(run: Run, root: Path, tftp: Path, tmp_path: Path) -> None:
    site = tmp_path / "mkpxeinit.toml"
    site.write_text(
        f"""[server]
address = "192.0.2.1"
tftp-root = "{tftp}"
console = "ttyS0,115200"
[tree.pc]
path = "{root}"
title = "A PC"
[tree.pc.build]
buses = []
drivers = ["e1000"]
[group.lab]
tree = "pc"
mode = "overlay"
[[client]]
mac = "{MAC}"
group = "lab"
"""
    )
    done = run("publish", "--config", site)
    assert done.code == 0, done.stderr
    own = (tftp / "pxelinux.cfg/01-52-54-00-00-00-01").read_text()
    assert f"nfsroot=192.0.2.1:{root} pxeinit.mode=overlay pxeinit.group=lab" in own
    assert "menu label A PC (lab) [pc.1, kernel" in own and own.splitlines()[1] == "serial 0 115200"
    told = json.loads((tftp / "generations/pc.1/generation.json").read_text())
    assert told["options"] == {"drivers": ["e1000"]}
    image = run("list", tftp / "generations/pc.1/pxeinit.img").stdout.decode()
    assert "e1000.ko" in image
    done = run("publish", "--config", site, "--group", "lab", "--module", "iwlwifi")
    assert "pc.2 is published for group lab" in last(done)
    assert "generations/pc.1/" in (tftp / "pxelinux.cfg/default").read_text()
    assert "generations/pc.2/" in (tftp / "pxelinux.cfg/01-52-54-00-00-00-01").read_text()
    done = run("publish", "--config", site, "--append", "x")
    assert (done.code, "with --config the description says it" in done.stderr) == (2, True)
    done = run("publish", "--config", tmp_path / "no.toml")
    assert done.code == 1 and f"{tmp_path}/no.toml" in done.stderr
