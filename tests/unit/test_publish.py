"""Generations: published, switched, taken back, removed; what a kill, a full disk and a second run leave."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mkpxeinit.errors import MkpxeinitError, PublishError
from mkpxeinit.netboot import generation, moves, publish, served, switch, tftproot
from mkpxeinit.netboot.tftproot import TftpRoot
from tests.unit.images import entry
from tests.unit.publishing import image, options, quiet, state
from tests.unit.publishing import served as what_is_served
from tests.unit.shares import shares
from tests.unit.small import RELEASE, kernel_tree, make_tree

MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"
FILES = ("boot.ipxe", "grub/grub.cfg", "pxelinux.cfg/default")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", kernel_tree())


@pytest.fixture
def tftp(tmp_path: Path) -> Path:
    folder = tmp_path / "tftp"
    folder.mkdir()
    return folder


Do = Callable[..., publish.Outcome]


@pytest.fixture
def do(tmp_path: Path, tree: Path, tftp: Path) -> Do:
    """Publish an image with this content."""

    def run(content: bytes = b"one", **more: Any) -> publish.Outcome:
        made = image(tmp_path, content)
        return publish.publish(options(tftp, tree, image=made, **more), quiet, {})

    return run


def everywhere(name: str) -> dict[str, set[str]]:
    return {file: {name} for file in FILES}


def test_what_is_published(do: Do, tree: Path, tftp: Path) -> None:
    """All of it can be read by all, whatever the umask is, and is what the manifest says."""
    before = os.umask(0o077)
    try:
        outcome = do(cmdline="quiet")
    finally:
        os.umask(before)
    assert outcome.new and outcome.manifest.name == "pc.1"
    folder = tftp / "generations/pc.1"
    assert (folder / "vmlinuz").read_bytes() == (tree / f"boot/vmlinuz-{RELEASE}").read_bytes()
    told = json.loads((folder / "generation.json").read_text())
    assert told["release"] == RELEASE and told["cmdline"] == "quiet" and told["mkpxeinit"] == "0.1.0"
    for kind, file in (("kernel", "vmlinuz"), ("image", "pxeinit.img")):
        data = (folder / file).read_bytes()
        assert told[kind] == {"file": file, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert abs(told["created"] - time.time()) < 600
    for path in tftp.rglob("*"):
        if not path.name.startswith("."):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert what_is_served(tftp) == everywhere("pc.1")


def test_the_same_again_is_no_new_generation(do: Do, tftp: Path) -> None:
    do()
    files = {
        path: path.stat().st_ino
        for path in tftp.rglob("*")
        if path.is_file() and path.name != "published.json"
    }
    assert not do().new
    assert {path: path.stat().st_ino for path in files} == files
    # A generation that is not whole any more is not the same.
    (tftp / "generations/pc.1/pxeinit.img").write_bytes(b"damaged")
    assert do().manifest.name == "pc.2"


def test_switch_and_rollback(do: Do, tftp: Path) -> None:
    do()
    assert do(b"two").manifest.name == "pc.2"
    assert what_is_served(tftp) == everywhere("pc.2")
    publish.change(tftp, lambda old: moves.back(old, "pc", None)[0], quiet)
    assert what_is_served(tftp) == everywhere("pc.1")
    # Back again, which is forward; and the next number is a new one.
    publish.change(tftp, lambda old: moves.back(old, "pc", None)[0], quiet)
    assert what_is_served(tftp) == everywhere("pc.2")
    assert do(b"three").manifest.name == "pc.3"


def test_no_rollback_to_what_is_damaged(do: Do, tftp: Path) -> None:
    do()
    do(b"two")
    (tftp / "generations/pc.1/vmlinuz").write_bytes(b"x")
    with pytest.raises(PublishError, match=r"pc\.1/vmlinuz: missing or damaged"):
        publish.change(tftp, lambda old: moves.to_tree(moves.back(old, "pc", None)[0], "pc.1"), quiet)
    with pytest.raises(PublishError, match=r"pc\.9/generation\.json: no such generation"):
        publish.change(tftp, lambda old: moves.to_tree(old, "pc.9"), quiet)
    assert what_is_served(tftp) == everywhere("pc.2")


def test_a_canary(do: Do, tftp: Path) -> None:
    """A group has the new generation first; then all have it; then the group is dissolved."""
    do()
    do(b"two", group="canary", clients=(MAC,))
    own = "pxelinux.cfg/01-52-54-00-00-00-01"
    text = (tftp / own).read_text()
    assert "\ndefault pc.canary\n" in text
    assert "\ndefault pc\n" in (tftp / "pxelinux.cfg/default").read_text()
    assert "pc.2" not in (tftp / "pxelinux.cfg/default").read_text().partition("label pc.canary")[0]
    assert MAC in (tftp / "grub/grub.cfg").read_text() and MAC in (tftp / "boot.ipxe").read_text()
    assert state(tftp).uses()["pc.2"] == ["group canary"]
    publish.change(tftp, lambda old: moves.to_tree(old, "pc.2"), quiet)
    assert what_is_served(tftp) == {**everywhere("pc.2"), own: {"pc.2"}}
    publish.change(tftp, lambda old: moves.without_group(old, "canary"), quiet)
    assert not (tftp / own).exists()
    assert state(tftp).clients == ()


def test_groups_need_what_they_name(do: Do, tftp: Path) -> None:
    with pytest.raises(PublishError, match="tree pc is not published yet"):
        do(group="canary", clients=(MAC,))
    assert state(tftp).trees == {} and generation.names(TftpRoot.open(tftp)) == ()
    do()
    with pytest.raises(PublishError, match="no group 'canary' here"):
        do(b"two", group="canary")
    do(b"two", name="laptop")
    do(b"three", group="canary", clients=(MAC,))
    with pytest.raises(PublishError, match="another tree than group canary"):
        publish.change(tftp, lambda old: moves.to_group(old, "canary", "laptop.1"), quiet)
    with pytest.raises(PublishError, match="group canary is of the tree pc, not of laptop"):
        do(b"four", name="laptop", group="canary")


def test_trees_side_by_side(do: Do, tftp: Path) -> None:
    do()
    do(b"two", name="laptop")
    # Without a menu that waits, PXELINUX has one entry only.
    both = {"pc.1", "laptop.1"}
    assert what_is_served(tftp) == {FILES[0]: both, FILES[1]: both, FILES[2]: {"pc.1"}}
    do(b"two", name="laptop", timeout=5)
    assert what_is_served(tftp) == dict.fromkeys(FILES, both)
    assert state(tftp).default == "pc"
    do(b"two", name="laptop", default=True)
    assert "\ndefault laptop\n" in (tftp / "pxelinux.cfg/default").read_text()
    do(b"three")
    assert what_is_served(tftp)["boot.ipxe"] == {"pc.2", "laptop.1"}


def test_keep(do: Do, tftp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is used stays, the previous one, the newest, and for some minutes what may be in loading."""
    do()
    do(b"two", group="canary", clients=(MAC,))
    for content in (b"three", b"four", b"five", b"six"):
        do(content)
    said: list[str] = []
    _, removed = publish.change(tftp, lambda old: old, said.append, keep=1)
    assert removed == ()
    assert [line.partition(":")[0] for line in said] == ["pc.4", "pc.3"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + publish.GRACE + 1)
    _, removed = publish.change(tftp, lambda old: old, quiet, keep=1)
    assert removed == ("pc.4", "pc.3")
    # pc.6 is the newest, pc.5 the previous, pc.2 the canary's, pc.1 what the canary had before.
    assert generation.names(TftpRoot.open(tftp)) == ("pc.6", "pc.5", "pc.2", "pc.1")
    assert not list((tftp / "generations").glob(".*tmp"))


def test_a_number_is_not_used_twice(do: Do, tftp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    do()
    do(b"two")
    publish.change(tftp, lambda old: moves.back(old, "pc", None)[0], quiet)
    do(b"three")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + publish.GRACE + 1)
    do(b"four", keep=1)
    assert generation.names(TftpRoot.open(tftp)) == ("pc.4", "pc.3", "pc.1")
    assert do(b"five").manifest.name == "pc.5"


def test_hand_written_configurations(do: Do, tftp: Path) -> None:
    """They are not lost: refused, or kept under another name."""
    make_tree(tftp, {"pxelinux.cfg/default": "by hand\n", "grub/grub.cfg": "also\n"})
    with pytest.raises(PublishError, match=r"pxelinux\.cfg/default: not written by mkpxeinit.*--take-over"):
        do()
    assert sorted(p.name for p in tftp.iterdir()) == ["generations", "grub", "pxelinux.cfg"]
    assert generation.names(TftpRoot.open(tftp)) == ()
    do(take_over=True)
    assert (tftp / "pxelinux.cfg/default.before-mkpxeinit").read_text() == "by hand\n"
    assert (tftp / "grub/grub.cfg.before-mkpxeinit").read_text() == "also\n"
    assert what_is_served(tftp) == everywhere("pc.1")
    # Ours, but changed by hand since: the same.
    (tftp / "grub/grub.cfg").write_text("mended\n")
    with pytest.raises(PublishError, match=r"grub\.cfg: not written by mkpxeinit, or changed since"):
        do(b"two")
    do(b"two", take_over=True)
    assert (tftp / "grub/grub.cfg.before-mkpxeinit.1").read_text() == "mended\n"
    # What server-config wrote is ours as well.
    (tftp / "grub/grub.cfg").write_text("# Written by mkpxeinit server-config: changes here are lost\n")
    do(b"three")


@pytest.mark.parametrize("name", ["pxelinux.cfg", "generations", "grub", "pxelinux.cfg/default", "boot.ipxe"])
def test_links_are_not_written_through(do: Do, tftp: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "default").write_text("precious")
    target = outside / "default" if name.endswith(("default", ".ipxe")) else outside
    (tftp / name).parent.mkdir(exist_ok=True)
    (tftp / name).symlink_to(target)
    with pytest.raises(PublishError, match=f"{name}: a symbolic link; mkpxeinit writes into the TFTP root"):
        do(take_over=True)
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"default": "precious"}


def test_a_root_that_is_a_link_itself(tree: Path, tftp: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tftp)
    publish.publish(options(tmp_path / "link", tree, image=image(tmp_path)), quiet, {})
    assert what_is_served(tftp) == everywhere("pc.1")


def steps(run: Callable[[], object], root: Path, stop_at: int) -> int:
    """Run in a process of its own that is killed before its change `stop_at` of the root; return its status.

    Python tells of each change of the file system before it is made (sys.audit). Files that are there must
    not be written to, only replaced.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    count = 0
    there = {str(path) for path in root.rglob("*") if path.is_file() and path.name != ".lock"}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            changes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if changes and f"{arguments[0]}" in there:
                os._exit(99)  # half of it could be seen
        else:
            changes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod")
        if changes and str(root) in f"{arguments[0]}":
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(hook)
        run()
        os._exit(0)
    except BaseException:
        os._exit(1)


@pytest.mark.slow
@shares(4)
@pytest.mark.parametrize("first", [False, True], ids=["again", "first"])
def test_killed_at_each_step(tree: Path, tmp_path: Path, do: Do, tftp: Path, first: bool, step: int) -> None:
    """The old generation is served, whole, until the new one is; the next run clears up and succeeds."""
    if not first:
        do()
        do(b"two", group="canary", clients=(MAC,))
    baseline = tmp_path / "baseline"
    copied = f"cp -a {tftp} {baseline}"
    assert os.system(copied) == 0
    new, newer = image(tmp_path, b"new"), image(tmp_path, b"newer")
    refused = image(tmp_path, b"x", entry(b"key", 0o100600, b"x"))
    mine: dict[str, Any] = {} if first else {"group": "canary", "clients": (OTHER,)}
    seen = set()
    for stop_at in range(1, 400, step):
        work = tmp_path / f"work{stop_at}"
        assert os.system(f"cp -a {baseline} {work}") == 0
        run = partial(publish.publish, options(work, tree, image=new, **mine), quiet, {})
        status = steps(run, work, stop_at)
        assert status in (0, signal.SIGKILL)
        now = what_is_served(work)
        assert set().union(*now.values(), set()) <= {"pc.1", "pc.2", "pc.3"}
        seen.add(tuple(sorted((file, tuple(sorted(names))) for file, names in now.items())))
        with pytest.raises(PublishError, match="not for the eyes of the network"):
            publish.publish(options(work, tree, image=refused), quiet, {})
        # What it refused is not there, and what was begun before is done.
        assert all(len(digests) == 1 for digests in state(work).written.values())
        publish.publish(options(work, tree, image=newer), quiet, {})
        left = [p for p in work.rglob("*") if p.name.endswith("tmp") or ".before" in p.name]
        assert left == []
        last = state(work)
        assert set(generation.names(TftpRoot.open(work))) == set(last.uses()), stop_at
        assert all(len(digests) == 1 for digests in last.written.values())
        assert [str(f) for f in served.check(work, tree).findings if "may enter" not in f.what] == []
        os.system(f"rm -rf {work}")
        if status == 0:
            break
    assert stop_at > 20
    assert len(seen) > 2


def test_two_at_once(tree: Path, tmp_path: Path, tftp: Path) -> None:
    """Both are published, one after the other."""
    images = [image(tmp_path, content) for content in (b"one", b"two")]
    errors: list[BaseException] = []

    def one(path: Path) -> None:
        try:
            publish.publish(options(tftp, tree, image=path), quiet, {})
        except MkpxeinitError as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(path,)) for path in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert generation.names(TftpRoot.open(tftp)) == ("pc.2", "pc.1")
    assert state(tftp).trees["pc"].previous == "pc.1"


def test_the_lock_is_waited_for_not_for_ever(do: Do, tftp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tftproot, "LOCK_SECONDS", 0.2)
    said: list[str] = []
    with (
        TftpRoot.open(tftp).locked(quiet),
        pytest.raises(PublishError, match=r"generations/\.lock: another mkpxeinit publish has held this"),
    ):
        publish.change(tftp, lambda old: old, said.append)
    assert [line.partition("lock: ")[2] for line in said] == [
        "another mkpxeinit publish is at work; waiting for it"
    ]


def test_loaders_of_another_version_stay(do: Do, tftp: Path, tree: Path, tmp_path: Path) -> None:
    """Half a set of pxelinux would not boot: the other half comes only if what is there is the same."""
    do()
    (tftp / "ldlinux.c32").unlink()
    do()
    assert (tftp / "ldlinux.c32").is_file()
    (tftp / "ldlinux.c32").unlink()
    (tftp / "pxelinux.0").write_bytes(b"another version")
    said: list[str] = []
    publish.publish(options(tftp, tree, image=image(tmp_path, b"x")), said.append, {})
    assert any("pxelinux.0: not the same as /usr/lib/PXELINUX/pxelinux.0" in line for line in said)
    assert not (tftp / "ldlinux.c32").exists()
    do(update_loaders=True)
    assert (tftp / "ldlinux.c32").is_file()
    assert (tftp / "pxelinux.0").read_bytes() != b"another version"


def test_an_image_of_another_kernel(tftp: Path, tree: Path, tmp_path: Path) -> None:
    make_tree(
        tree, {f"{name.replace(RELEASE, '7.0.0')}": data for name, data in kernel_tree("7.0.0").items()}
    )
    made = publish.publish(options(tftp, tree, image=image(tmp_path)), quiet, {})
    assert made.manifest.release == RELEASE  # the image's, not the newest of the tree
    with pytest.raises(PublishError, match=rf"has modules of {RELEASE}, not of the kernel 7\.0\.0"):
        given = options(tftp, tree, image=image(tmp_path, b"x"))
        publish.publish(replace(given, build=replace(given.build, kernel_release="7.0.0")), quiet, {})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 2}', "[" * 100000, '{"format": 1, "trees": {"../x": {}}}', "\0", '"'],
)
def test_a_damaged_state(do: Do, tftp: Path, text: str) -> None:
    """Nothing is made worse: generations of which nothing is known stay."""
    do()
    (tftp / "generations/published.json").write_text(text)
    with pytest.raises(PublishError, match=r"published\.json: not as mkpxeinit writes it"):
        do(b"two")
    assert what_is_served(tftp) == everywhere("pc.1")
    (tftp / "generations/published.json").unlink()
    assert do(b"two", take_over=True).manifest.name == "pc.2"
    assert generation.names(TftpRoot.open(tftp)) == ("pc.2", "pc.1")


def test_a_damaged_manifest(do: Do, tftp: Path) -> None:
    do()
    path = tftp / "generations/pc.1/generation.json"
    good = json.loads(path.read_text())
    root = TftpRoot.open(tftp)
    for key, value in (
        ("name", "pc.2"), ("release", "../.."), ("cmdline", "a\nb"), ("kernel", {"size": -1, "sha256": "0"}),
        ("image", {"size": 1, "sha256": "zz"}), ("created", "now"), ("format", 9), ("options", 5),
    ):  # fmt: skip
        path.write_text(json.dumps({**good, key: value}))
        with pytest.raises(PublishError, match=r"generation\.json: not as mkpxeinit writes it"):
            generation.read(root, "pc.1")
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(PublishError, match="a symbolic link"):
        generation.read(root, "pc.1")


def test_names_of_generations() -> None:
    assert generation.split_name("debian-12_x.10") == ("debian-12_x", 10)
    for name in ("pc", "pc.0", "pc.01", "../pc.1", "pc.1/..", "pc.-1", ".1", "pc.9999999999", "pc.1\n"):
        with pytest.raises(PublishError, match="no generation's name"):
            generation.split_name(name)


def test_nothing_foreign_is_removed(do: Do, tftp: Path) -> None:
    """What is not ours in the root stays as it is."""
    mine = {
        "memtest": b"x",
        "generations/notes.txt": b"y",
        "pxelinux.cfg/01-aa-bb-cc-dd-ee-ff": b"default pc\n",
        ".hidden": b"z",
        "generations/other/vmlinuz": b"",
        "generations/pc.7/vmlinuz": b"brought by hand",
    }
    make_tree(tftp, mine)
    assert do().manifest.name == "pc.8"
    do(b"two")
    assert {name: (tftp / name).read_bytes() for name in mine} == mine


def test_the_removed_generation_goes_at_once(do: Do, tftp: Path) -> None:
    do()
    switch.remove(TftpRoot.open(tftp), "pc.1")
    assert generation.names(TftpRoot.open(tftp)) == ()
    assert not (tftp / "generations/pc.1").exists()
    assert PurePosixPath("generations/.lock") == tftproot.LOCK
