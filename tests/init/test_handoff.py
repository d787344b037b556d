"""handoff.sh: the resolver's file, the machine's identity, and what power-off needs."""

import hashlib

import pytest

from tests.init.fakeroot import FakeRoot, Result

TEXT = "search lab\nnameserver 1.1.1.1"


def install(root: FakeRoot, *, dns: str = "1.1.1.1", new_root: str = "/newroot") -> Result:
    root.lease(address="10.0.2.15", dns=dns, domain="lab" if dns else "")
    root.folder(f"{new_root}/etc")
    roots = f"new_root={new_root}; tree_root=/newroot/nfsroot"
    code = f"lease_interface=eth0; {roots}; install_resolv_conf; echo status $?"
    return root.run(code)


@pytest.mark.parametrize("old", [None, "nameserver 9.9.9.9"])
def test_a_file_or_none(root: FakeRoot, old: str | None) -> None:
    if old:
        root.write("newroot/etc/resolv.conf", old)
    assert install(root).console == "status 0\n"
    assert root.read("newroot/etc/resolv.conf") == TEXT
    assert root.read("run/pxeinit/resolv.conf") == TEXT


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/run/systemd/resolve/stub-resolv.conf", "run/systemd/resolve/stub-resolv.conf"),
        ("../run/resolvconf/resolv.conf", "run/resolvconf/resolv.conf"),
        ("../../../../run/resolvconf/resolv.conf", "run/resolvconf/resolv.conf"),
        ("resolv.conf.dhcp", "newroot/etc/resolv.conf.dhcp"),
        ("/var/lib/dhcp/resolv.conf", "newroot/var/lib/dhcp/resolv.conf"),
        ("/etc/../lib/resolv.conf", "newroot/lib/resolv.conf"),
        # What would lie outside lies inside.
        ("/../../../bin/sh.resolv", "newroot/bin/sh.resolv"),
    ],
)
def test_where_the_trees_own_link_points(root: FakeRoot, target: str, place: str) -> None:
    root.link("newroot/etc/resolv.conf", target)
    assert install(root).console == "status 0\n"
    assert root.read(place) == TEXT
    assert str(root.place("newroot/etc/resolv.conf").readlink()) == target


def test_a_link_to_our_own_file(root: FakeRoot) -> None:
    root.link("newroot/etc/resolv.conf", "/run/pxeinit/resolv.conf")
    assert install(root).console == "status 0\n"
    assert root.read("run/pxeinit/resolv.conf") == TEXT


def test_a_link_into_the_read_only_tree_is_covered(root: FakeRoot) -> None:
    root.link("newroot/etc/resolv.conf", "../nfsroot/etc/resolv.conf")
    root.write("newroot/nfsroot/etc/resolv.conf", "old")
    assert install(root).console == "status 0\n"
    assert root.calls("mount") == [
        ["-o", "bind", "/run/pxeinit/resolv.conf", "/newroot/nfsroot/etc/resolv.conf"]
    ]
    assert root.read("newroot/nfsroot/etc/resolv.conf") == "old"


def test_the_farm_of_links_alone(root: FakeRoot) -> None:
    root.write("newroot/nfsroot/etc/resolv.conf", "old")
    root.link("newroot/etc", "nfsroot/etc")
    assert install(root).console == "status 0\n"
    assert root.calls("mount")[0][-1] == "/newroot/nfsroot/etc/resolv.conf"


@pytest.mark.parametrize("there", [True, False])
def test_what_cannot_be_covered_is_told(root: FakeRoot, there: bool) -> None:
    root.link("newroot/etc", "nfsroot/etc")
    root.folder("newroot/nfsroot/etc")
    if there:
        root.write("newroot/nfsroot/etc/resolv.conf", "old")
        root.fake("mount", fails=255)
    said = install(root)
    (warning,) = said.warnings
    assert warning.startswith("/nfsroot/etc/resolv.conf cannot be written: names will not resolve")
    assert said.console.endswith("status 0\n")


@pytest.mark.parametrize("covered", [True, False])
def test_a_tree_that_is_read_only_itself(root: FakeRoot, covered: bool) -> None:
    # A folder stands for a file that cannot be written.
    root.write("nfsroot/etc/resolv.conf", "old")
    root.fake("cat", when="/run/pxeinit/resolv.conf", fails=1)
    if not covered:
        root.fake("mount", fails=255)
    said = install(root, new_root="/nfsroot")
    assert root.calls("mount") == [["-o", "bind", "/run/pxeinit/resolv.conf", "/nfsroot/etc/resolv.conf"]]
    assert bool(said.warnings) != covered


def test_a_shared_tree_that_can_be_written_is_covered_too(root: FakeRoot) -> None:
    """Mode rw: the file is the server's, and every client's."""
    root.write("nfsroot/etc/resolv.conf", "old")
    root.write("proc/cmdline", "pxeinit.mode=rw")
    root.lease(address="10.0.2.15", dns="1.1.1.1")
    roots = "new_root=/nfsroot; tree_root=/nfsroot"
    said = root.run(f"read_params; lease_interface=eth0; {roots}; install_resolv_conf; echo status $?")
    assert said.console == "status 0\n"
    assert root.read("nfsroot/etc/resolv.conf") == "old"
    assert root.calls("mount") == [["-o", "bind", "/run/pxeinit/resolv.conf", "/nfsroot/etc/resolv.conf"]]


def test_a_looping_link_is_told(root: FakeRoot) -> None:
    root.link("newroot/etc/resolv.conf", "resolv.conf")
    said = install(root)
    assert said.console.endswith("status 0\n")
    assert root.names("etc") == ["cmdline", "pxeinit"]


def test_without_a_server_nothing_is_touched(root: FakeRoot) -> None:
    root.write("newroot/etc/resolv.conf", "old")
    assert install(root, dns="").console == "status 0\n"
    assert root.read("newroot/etc/resolv.conf") == "old"


MAC = "52:54:00:12:34:56"
ID = hashlib.md5(f"mkpxeinit machine-id {MAC}\n".encode()).hexdigest()  # the client's own recipe


def identity(
    root: FakeRoot, old: str | None, *, mode: str = "farm", farm: str = "bind", mac: str = MAC
) -> str | None:
    root.nic(mac=mac)
    root.folder("newroot/etc/systemd")
    if old is not None:
        root.write("newroot/etc/machine-id", old)
    said = root.run(
        f"param_mode={mode}; param_farm={farm}; new_root=/newroot; lease_interface=eth0; give_machine_id"
    )
    assert said.console == ""
    return root.read("newroot/etc/machine-id")


@pytest.mark.parametrize("old", [None, "", "uninitialized", "0" * 32])
def test_a_machine_gets_an_identity_of_its_own(root: FakeRoot, old: str | None) -> None:
    assert identity(root, old) == ID


def test_machines_differ(root: FakeRoot) -> None:
    assert identity(root, "", mac="52:54:00:00:00:01") not in (ID, "", None)


def test_what_the_clients_folder_says_is_meant(root: FakeRoot) -> None:
    root.write("own/etc/machine-id", "0" * 32)
    root.folder("newroot/etc/systemd")
    root.nic()
    root.run("new_root=/newroot; lease_interface=eth0; client_folder=/own; give_machine_id")
    assert root.read("newroot/etc/machine-id") is None


@pytest.mark.parametrize(
    ("mode", "farm", "given"),
    [("overlay", "bind", True), ("farm", "symlink", False), ("ro", "bind", False), ("rw", "bind", False)],
)
def test_only_what_is_the_clients_own_is_written(root: FakeRoot, mode: str, farm: str, given: bool) -> None:
    assert identity(root, "", mode=mode, farm=farm) == (ID if given else "")


def test_a_system_without_systemd_gets_none(root: FakeRoot) -> None:
    root.folder("newroot/etc")
    root.nic()
    root.run("new_root=/newroot; lease_interface=eth0; give_machine_id")
    assert root.read("newroot/etc/machine-id") is None


def test_a_link_is_not_followed(root: FakeRoot) -> None:
    root.folder("newroot/etc")
    root.link("newroot/etc/machine-id", "/canary")
    root.folder("newroot/etc/systemd")
    assert identity(root, None) is None
    assert not root.place("canary").exists()


def test_without_an_address_there_is_no_identity(root: FakeRoot) -> None:
    root.folder("newroot/etc/systemd")
    root.run("new_root=/newroot; lease_interface=eth0; give_machine_id")
    assert root.read("newroot/etc/machine-id") is None


def handoff(root: FakeRoot, cmdline: str = "") -> Result:
    root.write("proc/cmdline", cmdline)
    root.folder("newroot/etc")
    return root.run("read_params; new_root=/newroot; phase_handoff; echo status $?")


def test_a_shell_to_look_around(root: FakeRoot) -> None:
    said = handoff(root, "pxeinit.shell")
    assert "a look at the finished root in /newroot" in said.console
    assert root.calls("setsid") == [["cttyhack", "sh"]]


def test_there_must_be_a_root(root: FakeRoot) -> None:
    assert root.run("new_root=/none; phase_handoff; echo status $?").console == "status 1\n"
