"""Secrets in images, files that configurations name, loaders of a machine: the parts of `publish`."""

from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.errors import PublishError
from mkpxeinit.netboot import description, loaders, moves, publish, references, secrets
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.tftproot import TftpRoot
from mkpxeinit.sysroot import Sysroot
from tests.unit.images import entry
from tests.unit.publishing import FILE, FOLDER, image
from tests.unit.small import Link, make_tree

PXE, GRUB = "pxelinux.cfg/default", "grub/grub.cfg"
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "name, mode, body, why",
    [
        (b"etc/secret", 0o600, b"x", "mode 0600: not for everybody"),
        (b"etc/secret", 0o640, b"x", "mode 0640: not for everybody"),
        (b"etc/ssh/ssh_host_ed25519_key", 0o644, b"x", "an SSH host key"),
        (b"etc/dropbear/dropbear_rsa_host_key", 0o644, b"x", "an SSH host key"),
        (b"home/me/.ssh/id_rsa", 0o644, b"x", "an SSH key"),
        (b"etc/shadow", 0o644, b"root:*:1::::::", "passwords"),
        (b"usr/etc/gshadow-", 0o644, b"root:*::", "passwords"),
        (b"etc/machine-id", 0o644, b"0123456789abcdef0123456789abcdef\n", "the identity of one machine"),
        (b"var/lib/dbus/machine-id", 0o644, b"0123", "the identity of one machine"),
        (b"etc/krb5.keytab", 0o644, b"x", "keys of Kerberos"),
        (b"var/lib/systemd/random-seed", 0o644, b"x", "a secret of systemd"),
        (b"etc/tls/server.pem", 0o644, b"certificate\n" + KEY, "a private key"),
        (b"k", 0o644, b"-----BEGIN PRIVATE KEY-----\n", "a private key"),
        (b"k", 0o644, b"-----BEGIN RSA PRIVATE KEY-----\n", "a private key"),
        (b"k", 0o644, b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "a private key"),
        (b"etc/passwd", 0o644, b"root:x:0:0::/:\nme:$6$salt$hash:1:1::/:\n", "passwords"),
        (b"etc/passwd", 0o644, b"me:aaQSqAReePlq6:1:1::/:\n", "passwords"),
        (b"private/x", 0o644, b"x", "in /private, which is not for everybody"),
    ],
)
def test_secrets(tmp_path: Path, name: bytes, mode: int, body: bytes, why: str) -> None:
    private = entry(b"private", 0o040700)
    path = image(tmp_path, b"x", private, entry(name, 0o100000 | mode, body))
    assert [str(each) for each in secrets.find(path)] == [f"/{name.decode()} ({why})"]
    # What comes later in the image hides a file from the client, not from who downloads the image.
    path = image(tmp_path, b"x", private, entry(name, 0o100000 | mode, body), entry(name, FILE, b""))
    assert len(secrets.find(path)) == 1


@pytest.mark.parametrize(
    "name, mode, body",
    [
        (b"etc/ssh/ssh_host_rsa_key.pub", 0o644, b"ssh-rsa AAAA"),
        (b"etc/machine-id", 0o644, b""),
        (b"etc/machine-id", 0o644, b"uninitialized\n"),
        (b"etc/passwd", 0o644, b"root:x:0:0::/:\nme:*:1:1::/:\nyou::2:2::/:\n"),
        (b"bin/openssl", 0o755, b"\x7fELF\0" + KEY),
        (b"etc/empty", 0o600, b""),
        (b"etc/ssl/cert.pem", 0o644, b"-----BEGIN CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n"),
    ],
)
def test_no_secrets(tmp_path: Path, name: bytes, mode: int, body: bytes) -> None:
    assert secrets.find(image(tmp_path, b"x", entry(name, 0o100000 | mode, body))) == ()


def test_a_folder_that_is_opened_later_is_none(tmp_path: Path) -> None:
    closed, opened = entry(b"d", 0o040700), entry(b"d", FOLDER)
    path = image(tmp_path, b"x", closed, opened, entry(b"d/x", FILE, b"x"))
    assert secrets.find(path) == ()


def test_many_secrets_in_one_line() -> None:
    found = tuple(secrets.Secret(PurePosixPath(f"f\n{n}"), "why") for n in range(7))
    with pytest.raises(PublishError) as error:
        secrets.refuse(found, "the image")
    assert "/f\\n4 (why) and 2 more; leave that out" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path, text, names",
    [
        (PXE, "DEFAULT x\nLABEL x\n KERNEL vmlinuz\n  INITRD a.img,b.img", "vmlinuz a.img b.img"),
        (PXE, "label x\n  kernel /k\n  append initrd=i quiet root=/dev/nfs", "k i"),
        (PXE, "ui vesamenu.c32\nmenu background logo.png", "vesamenu.c32 logo.png"),
        (PXE, "default menu.c32\ndefault linux\ninclude more/x", "menu.c32 more/x"),
        (PXE, "kernel http://x/k\nkernel 10.0.0.1::k\n# kernel no\n", ""),
        (PXE, "kernel ../../k\n", "k"),
        (GRUB, "menuentry 'x' {\n linux '/a b' root=/dev/nfs\n initrd /i1 /i2\n}", "a b|i1|i2"),
        (GRUB, "linux (tftp)/k quiet\ninitrd ($root)/i\nconfigfile $prefix/x.cfg", "k|i|grub/x.cfg"),
        (GRUB, "linux /k-$arch\n# linux /no\nset x=/y\nchainloader /e.efi", "e.efi"),
        ("boot.ipxe", "#!ipxe\nkernel g/k initrd=i x || goto x\ninitrd --name i g/i i || goto x", "g/k g/i"),
        ("boot.ipxe", "kernel http://a/b\n", ""),
        ("x/boot.ipxe", "chain --autofree ../y.ipxe\nkernel ${base}/k\nimgfetch /z", "y.ipxe z"),
    ],
)  # fmt: skip
def test_references(path: str, text: str, names: str) -> None:
    found = [str(each.name) for each in references.find(PurePosixPath(path), text)]
    assert found == (names.split("|") if "|" in names else names.split())


def test_whose_configuration_it_is() -> None:
    kinds = {
        "pxelinux.cfg/default": references.PXELINUX,
        "pxelinux.cfg/01-52-54-00-00-00-01": references.PXELINUX,
        "pxelinux.cfg/C0A8": references.PXELINUX,
        "pxelinux.cfg/default.before-mkpxeinit": None,
        "grub/grub.cfg": references.GRUB,
        "grub/grub.cfg-01-52-54-00-00-00-01": references.GRUB,
        "boot/grub/grub.cfg": None,
        "boot.ipxe": references.IPXE,
        "vmlinuz": None,
    }
    kinds["boot/grub/grub.cfg"] = references.kind_of(PurePosixPath("boot/grub/grub.cfg"))
    assert {name: references.kind_of(PurePosixPath(name)) for name in kinds} == kinds
    assert kinds["boot/grub/grub.cfg"] == references.GRUB


DEBIAN = {
    "usr/lib/PXELINUX/pxelinux.0": b"0",
    **{f"usr/lib/syslinux/modules/bios/{name}": b"m" for name in loaders.SETS[0].names[1:]},
    "usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi": b"g",
}


def found_on(host: Path, tree: Path) -> dict[str, list[str]]:
    found = loaders.find(Sysroot(host, "host:"), Sysroot(tree, "tree:"))
    return {each.set.name: [source.shown for source in each.sources] for each in found if each.sources}


def test_loaders_are_found_here_or_in_the_tree(tmp_path: Path) -> None:
    host = make_tree(tmp_path / "host", DEBIAN)
    fedora = {f"usr/share/syslinux/{name}": b"m" for name in loaders.SETS[0].names}
    tree = make_tree(
        tmp_path / "tree", {**fedora, "usr/share/ipxe/undionly.kpxe": Link("/real"), "real": b"u"}
    )
    assert found_on(host, tree) == {
        "pxelinux": ["host:/usr/lib/PXELINUX/pxelinux.0", *(
            f"host:/usr/lib/syslinux/modules/bios/{name}" for name in loaders.SETS[0].names[1:]
        )],
        "grub-x64": ["host:/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi"],
        "ipxe-bios": ["tree:/usr/share/ipxe/undionly.kpxe"],
    }  # fmt: skip
    # A set that is not whole on this machine comes from the tree, all of it.
    (host / "usr/lib/syslinux/modules/bios/menu.c32").unlink()
    assert all(name.startswith("tree:/usr/share/syslinux/") for name in found_on(host, tree)["pxelinux"])


def test_absent_loaders_are_named(tmp_path: Path) -> None:
    host, tree = make_tree(tmp_path / "host", DEBIAN), make_tree(tmp_path / "tree", {})
    found = loaders.find(Sysroot(host, ""), Sysroot(tree, "tree"))
    lines = loaders.absent(found, (), TftpRoot.open(tmp_path))
    assert len(lines) == len(loaders.SETS) - 2
    assert lines[1] == (
        "no shimx64.efi and grubx64.efi on this machine or in the tree, for UEFI clients with Secure Boot "
        "(x64): Debian package shim-signed and grub-efi-amd64-signed"
    )
    with pytest.raises(PublishError, match="no undionly.kpxe .* install it, or leave --loader ipxe-bios out"):
        loaders.absent(found, ("ipxe-bios",), TftpRoot.open(tmp_path))
    nothing = loaders.find(Sysroot(tree, ""), Sysroot(tree, "tree"))
    with pytest.raises(PublishError, match="no loader at all"):
        loaders.absent(nothing, (), TftpRoot.open(tmp_path))
    # A set that the TFTP root has already is there, though nobody here has it.
    served = make_tree(tmp_path / "tftp", {"pxelinux.0": b"x", "ldlinux.c32": b"x"})
    lines = loaders.absent(nothing, (), TftpRoot.open(served))
    assert len(lines) == len(loaders.SETS) - 1 and not any("pxelinux.0" in line for line in lines)


def test_loaders_that_lead_out_of_a_tree_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x")
    tree = make_tree(tmp_path / "tree", {"usr/lib/ipxe/undionly.kpxe": Link("../../../../outside")})
    assert found_on(make_tree(tmp_path / "host", {}), tree) == {}


def test_a_tftp_root_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", make_tree(tmp_path, {"file": ""}) / "file"):
        with pytest.raises(PublishError, match=r"TFTP root .*: (No such file|Not a directory)"):
            TftpRoot.open(path)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(PublishError, match="TFTP root .*circle: "):
        TftpRoot.open(tmp_path / "circle")


SITE = """
[server]
address = "192.0.2.1"
timeout = 3
[tree.pc]
path = "/netboot/pc"
[tree.laptop]
path = "/netboot/laptop"
[group.canary]
tree = "pc"
cmdline = "debug"
[group.old]
tree = "pc"
generation = "pc.1"
[group.elsewhere]
tree = "laptop"
[[client]]
mac = "52:54:00:00:00:01"
group = "canary"
[[client]]
mac = "52:54:00:00:00:02"
group = "old"
[[client]]
mac = "52:54:00:00:00:03"
mode = "overlay"
[[client]]
mac = "52:54:00:00:00:04"
group = "elsewhere"
"""


def test_a_description_says_who_boots_what(tmp_path: Path) -> None:
    path = tmp_path / "mkpxeinit.toml"
    path.write_text(SITE)
    site = description.read(path)
    state = moves.to_tree(moves.to_tree(Published(), "pc.1", "/t"), "pc.2")
    state, notes = moves.to_site(state, site)
    assert notes == ("tree laptop is not published yet, and not in the menu",)
    booted = {slot.label: (state.generation_of(slot), slot.cmdline) for slot in state.slots}
    root = "root=/dev/nfs nfsroot=192.0.2.1:/netboot/pc"
    assert booted == {
        "pc": ("pc.2", root),
        "pc.canary": ("pc.2", f"{root} pxeinit.group=canary debug"),
        "pc.old": ("pc.1", f"{root} pxeinit.group=old"),
        "mac.52-54-00-00-00-03": ("pc.2", f"{root} pxeinit.mode=overlay"),
    }
    assert state.timeout == 3
    assert dict(state.clients)["52:54:00:00:00:02"] == "pc.old"
    assert "52:54:00:00:00:04" not in dict(state.clients)
    # A canary that was begun stays with its generation when the description is read again.
    state = moves.to_group(state, "canary", "pc.1")
    state, _ = moves.to_site(state, site)
    assert state.groups["canary"].generation == "pc.1"
    # With the other tree published, its clients come.
    state, notes = moves.to_site(moves.to_tree(state, "laptop.1", "/l"), site)
    assert notes == () and dict(state.clients)["52:54:00:00:00:04"] == "laptop.elsewhere"
    # A tree that the description does not know is published all the same, with an entry.
    state = moves.to_tree(moves.to_tree(state, "other.1", "/o"), "other.2")
    state, _ = moves.to_site(state, site)
    assert "other" not in {slot.label for slot in state.slots}
    assert "other" in {slot.label for slot in moves.to_tree(state, "other.3").slots}


def test_a_chroot_does_not_know_where_it_is() -> None:
    """It is its own `/`; the server has published the tree before, and looks for it there."""
    state = moves.to_tree(Published(), "pc.1", "/netboot/pc")
    assert publish.place_of(Path("/"), "pc", state) == "/netboot/pc"
    assert publish.place_of(Path("/moved/pc"), "pc", state) == "/moved/pc"
    assert publish.place_of(Path("/"), "other", state) == "/"
