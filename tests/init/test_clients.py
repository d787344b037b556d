"""clients.sh: what a client has for itself, by its address, its name, its group, or by default."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

MAC = "52:54:00:AB:34:56"
BY_MAC = "52-54-00-ab-34-56"
NAMES = (BY_MAC, "bench7.lab", "hall", "default")


def prepare(root: FakeRoot, cmdline: str = "pxeinit.group=hall", **lease: str) -> None:
    root.write("proc/cmdline", cmdline)
    root.nic(mac=MAC)
    root.lease(**{"address": "10.0.2.15", "hostname": "bench7.lab", **lease})


def find(root: FakeRoot, base: str = "/nfsroot", folder: str = "/clients") -> Result:
    code = f'find_client_folder {base} "{folder}"; echo "[$client_folder]"'
    return root.run(f"read_params; lease_interface=eth0; {code}")


@pytest.mark.parametrize("first", range(5))
def test_the_first_that_is_there(root: FakeRoot, first: int) -> None:
    for name in NAMES[first:]:
        root.folder(f"nfsroot/clients/{name}")
    prepare(root)
    expected = f"/nfsroot/clients/{NAMES[first]}" if first < 4 else ""
    assert find(root).console.splitlines()[-1] == f"[{expected}]"
    assert root.state().get("client") == (NAMES[first] if first < 4 else None)


def test_a_link_stays_in_the_tree(root: FakeRoot) -> None:
    root.folder("outside/clients")
    root.link(f"nfsroot/clients/{BY_MAC}", "../../../../outside")
    root.folder("nfsroot/clients/default")
    prepare(root)
    assert find(root).console.endswith("[/nfsroot/clients/default]\n")
    root.folder("nfsroot/outside")
    assert find(root).console.endswith("[/nfsroot/outside]\n")


@pytest.mark.parametrize("odd", ["a,redirect_dir=on", "a:b", "a b", "a\\b"])
def test_a_link_to_what_overlay_would_misread_is_not_taken(root: FakeRoot, odd: str) -> None:
    root.folder(f"nfsroot/{odd}")
    root.link("nfsroot/clients/default", f"../{odd}")
    prepare(root)
    assert find(root).console == "[]\n"


@pytest.mark.parametrize("value", ["..", "a/../..", "/etc", "$(reboot)", "", "a_b", "-x"])
def test_groups_that_are_no_names(root: FakeRoot, value: str) -> None:
    said = root.run(f"take_own_param 'group={value}' '{value}'; echo \"[$param_group]\"")
    assert said.console.endswith("[]\n")
    assert said.warnings[0].startswith(f"pxeinit.group='{value}' is ignored")


@pytest.mark.parametrize("value", ["clients", "", "..", "/a/../b", "/a:b", "/a;b", "h:clients"])
def test_places_that_are_none(root: FakeRoot, value: str) -> None:
    said = root.run(f"take_own_param 'clients={value}' '{value}'; echo \"[$param_clients]\"")
    assert said.console.endswith("[]\n")
    assert said.warnings == [f"pxeinit.clients='{value}' is ignored: neither /PATH nor SERVER:/PATH"]


# Where its folders go


def boot(root: FakeRoot, cmdline: str = "", *, client: bool = True) -> Result:
    """A boot of a client whose folder, in the tree's /clients, has etc, var, home and more."""
    if client:
        for name in ("etc", "var", "home", "usr", "opt"):
            root.folder(f"nfsroot/clients/default/{name}")
        root.write("nfsroot/clients/default/file", "")
    for name in ("home", "srv"):
        root.folder(f"nfsroot/{name}")
    return root.boot(cmdline)


def layers(root: FakeRoot) -> dict[str, str]:
    """The lower layers of each overlay that was mounted."""
    calls = (words for words in root.calls("mount") if words[:2] == ["-t", "overlay"])
    return {words[-1]: words[3].split(",")[0].removeprefix("lowerdir=") for words in calls}


def test_farm(booting: FakeRoot) -> None:
    said = boot(booting)
    own, tree = "/newroot/nfsroot/clients/default", "/newroot/nfsroot"
    assert layers(booting) == {
        "etc": f"{own}/etc:{tree}/etc",
        "/newroot/var": f"{own}/var:{tree}/var",
        "/newroot/home": f"{own}/home:{tree}/home",
        "/newroot/opt": f"{own}/opt",
    }
    assert said.warnings == [
        f"'{name}' in the client's folder is left out: only folders can be a client's own, and not all"
        for name in ("file", "usr")
    ]
    assert booting.state()["client"] == "default"
    # A place of its own, no longer a link.
    assert booting.place("newroot/home").is_dir()
    assert not booting.place("newroot/home").is_symlink()
    assert booting.place("newroot/srv").is_symlink()


def test_farm_of_links(booting: FakeRoot) -> None:
    boot(booting, "pxeinit.farm=symlink")
    assert set(layers(booting)) == {f"/newroot/{name}" for name in ("etc", "var", "home", "opt")}
    assert booting.place("newroot/etc").is_dir()


def test_overlay(booting: FakeRoot) -> None:
    """A layer inside another one is refused by the kernel, so the folders have layers of their own."""
    boot(booting, "pxeinit.mode=overlay")
    base = "/run/pxeinit/overlay"
    own = f"{base}/tree/clients/default"
    assert layers(booting) == {
        "/newroot": f"{base}/tree",
        "/newroot/etc": f"{own}/etc:{base}/tree/etc",
        "/newroot/var": f"{own}/var:{base}/tree/var",
        "/newroot/home": f"{own}/home:{base}/tree/home",
        "/newroot/opt": f"{own}/opt",
    }
    etc = next(words for words in booting.calls("mount") if words[-1] == "/newroot/etc")
    assert etc[3].endswith(f",upperdir={base}/top/client/etc/upper,workdir={base}/top/client/etc/work")


def test_read_only(booting: FakeRoot) -> None:
    """/etc and /var have their layers; what else the client has is bound, whole."""
    boot(booting, "pxeinit.mode=ro")
    own = "/nfsroot/clients/default"
    assert layers(booting) == {
        "/nfsroot/etc": f"{own}/etc:/nfsroot/etc",
        "/nfsroot/var": f"{own}/var:/nfsroot/var",
    }
    bound = [words[2:] for words in booting.calls("mount") if words[:2] == ["-o", "bind"]]
    assert [f"{own}/home", "/nfsroot/home"] in bound
    assert not [words for words in bound if words[1] in {"/nfsroot/etc", "/nfsroot/var"}]


def test_bound(booting: FakeRoot) -> None:
    said = boot(booting, "pxeinit.mode=rw")
    bound = [words[2:] for words in booting.calls("mount") if words[:2] == ["-o", "bind"]]
    own = "/nfsroot/clients/default"
    for name in ("etc", "home", "var"):
        assert [f"{own}/{name}", f"/nfsroot/{name}"] in bound
    assert "/opt is no folder of the tree: the client's own cannot be mounted there" in said.warnings


@pytest.mark.parametrize("mode", ["farm", "overlay", "rw"])
def test_without_any_nothing_changes(booting: FakeRoot, mode: str) -> None:
    said = boot(booting, f"pxeinit.mode={mode}", client=False)
    assert said.warnings == []
    assert "client" not in booting.state()


def test_asked_for_and_not_there(booting: FakeRoot) -> None:
    said = boot(booting, "pxeinit.clients=/elsewhere", client=False)
    assert said.warnings == ["there is no folder for this client in /elsewhere"]


@pytest.mark.parametrize(
    ("cmdline", "when"),
    [
        ("", "overlay etc"),
        ("", "overlay /newroot/var"),
        ("pxeinit.mode=ro", "overlay /nfsroot/etc"),
        ("pxeinit.mode=ro", "overlay /nfsroot/var"),
        ("pxeinit.mode=rw", "bind /nfsroot/clients/default/home"),
        ("", "nfsroot/clients/default/opt"),
    ],
)
def test_what_cannot_be_mounted_is_a_failure(booting: FakeRoot, cmdline: str, when: str) -> None:
    booting.fake("mount", when=when, fails=[255, 0])
    said = boot(booting, cmdline)
    assert said.reports("PXE-INIT-tree-clients")
    assert said.status == 0


def test_a_layer_that_overlay_would_misread(booting: FakeRoot) -> None:
    booting.folder("nfsroot/a,b")
    booting.folder("nfsroot/clients/default/data")
    booting.link("nfsroot/data", "a,b")
    said = boot(booting, "panic=-1")
    assert said.reports("PXE-INIT-tree-clients")


# A second export


EXPORT = "pxeinit.clients=10.0.2.9,10.0.2.8:/own,hard"


def exported(root: FakeRoot) -> None:
    root.fake("mount", when=":/own /clients", does="/bin/mkdir -p /clients/default/etc; exit 0")


def test_an_export_of_its_own(booting: FakeRoot) -> None:
    exported(booting)
    boot(booting, EXPORT, client=False)
    assert layers(booting)["etc"] == "/clients/default/etc:/newroot/nfsroot/etc"
    tried = [words for words in booting.calls("mount") if words[-1] == "/clients"]
    assert tried == [["-i", "-t", "nfs4", "-o", "ro,vers=4.2,hard", "10.0.2.9:/own", "/clients"]]
    assert ["-l", "/clients"] in booting.calls("umount")
    # The root's own is untouched by it.
    assert booting.state()["root"] == "10.0.2.2:/srv/tree"


def test_the_second_of_its_servers(booting: FakeRoot) -> None:
    booting.refuse("Connection refused", when="10.0.2.9:/own")
    booting.fake("mount", when="10.0.2.8:/own", does="/bin/mkdir -p /clients/default/etc; exit 0")
    boot(booting, EXPORT + " pxeinit.mode=overlay", client=False)
    base = "/run/pxeinit/overlay/tree"
    assert layers(booting) == {"/newroot": base, "/newroot/etc": f"/clients/default/etc:{base}/etc"}


@pytest.mark.parametrize(
    "value", ["10.0.2.9:/own", "nfs.lab:/own", "10.0.2.9:/../x", "10.0.2.9:/x,a;b", "h_h:/x"]
)
def test_an_export_that_cannot_be_used(booting: FakeRoot, value: str) -> None:
    booting.refuse("Permission denied", when=" /clients")
    said = boot(booting, f'"pxeinit.clients={value}" panic=-1', client=False)
    assert said.reports("PXE-INIT-tree-clients")
    assert layers(booting) == {}


# Who it is


def named(root: FakeRoot, old: str | None = None, code: str = "", **lease: str) -> str | None:
    prepare(root, **lease)
    root.folder("newroot/etc")
    if old is not None:
        root.write("newroot/etc/hostname", old)
    said = root.run(f"read_params; new_root=/newroot; lease_interface=eth0; {code or ':'}; give_host_name")
    assert said.console == ""
    return root.read("newroot/etc/hostname")


@pytest.mark.parametrize("old", [None, "tree"])
def test_the_host_name_of_the_lease(root: FakeRoot, old: str | None) -> None:
    assert named(root, old) == "bench7"


@pytest.mark.parametrize(
    ("old", "name"),
    [("tree", "tree"), (None, f"pxe-{BY_MAC}"), ("", f"pxe-{BY_MAC}"), ("localhost", f"pxe-{BY_MAC}")],
)
def test_a_host_name_without_a_lease_that_has_one(root: FakeRoot, old: str | None, name: str) -> None:
    assert named(root, old, hostname="") == name
    if name != "tree":
        assert root.read("proc/sys/kernel/hostname") == name


def test_without_an_address_there_is_no_name(root: FakeRoot) -> None:
    assert named(root, hostname="", code="rm /sys/class/net/eth0/address") is None


def test_the_clients_own_host_name(root: FakeRoot) -> None:
    root.write("own/etc/hostname", "mine")
    assert named(root, "layered", "client_folder=/own") == "layered"


@pytest.mark.parametrize("mode", ["param_mode=ro", "param_mode=rw", "param_farm=symlink"])
def test_a_shared_host_name_is_left(root: FakeRoot, mode: str) -> None:
    assert named(root, "tree", mode) == "tree"


def test_a_host_name_that_is_a_link_is_left(root: FakeRoot) -> None:
    root.link("newroot/etc/hostname", "/canary")
    assert named(root) is None
    assert not root.place("canary").exists()


def test_a_host_name_that_cannot_be_written(root: FakeRoot) -> None:
    prepare(root)
    root.folder("newroot/etc/hostname")
    said = root.run("new_root=/newroot; lease_interface=eth0; give_host_name; echo status $?")
    assert said.warnings == ["/etc/hostname cannot be written"]


# SSH


def keys(root: FakeRoot, code: str = ":") -> Result:
    for name in ("ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key", "sshd_config"):
        root.write(f"newroot/etc/ssh/{name}", name)
    return root.run(f"new_root=/newroot; {code}; give_ssh_keys; echo status $?")


def test_shared_host_keys_are_replaced(root: FakeRoot) -> None:
    said = keys(root)
    assert said.warnings == []
    assert root.names("newroot/etc/ssh") == ["sshd_config"]
    assert root.calls("chroot") == [["/newroot", "/usr/bin/ssh-keygen", "-A"]]
    assert root.calls("timeout")[0][:3] == ["-s", "KILL", "60"]


def test_a_client_with_host_keys_keeps_them(root: FakeRoot) -> None:
    root.write("own/etc/ssh/ssh_host_rsa_key", "mine")
    keys(root, "client_folder=/own")
    assert len(root.names("newroot/etc/ssh")) == 4
    assert root.calls("chroot") == []


def test_a_client_with_a_folder_and_without_host_keys(root: FakeRoot) -> None:
    root.folder("own/etc/ssh")
    keys(root, "client_folder=/own")
    assert root.names("newroot/etc/ssh") == ["sshd_config"]


@pytest.mark.parametrize("mode", ["param_mode=ro", "param_mode=rw", "param_farm=symlink"])
def test_host_keys_on_the_server_are_left(root: FakeRoot, mode: str) -> None:
    keys(root, mode)
    assert len(root.names("newroot/etc/ssh")) == 4


def test_host_keys_behind_a_link_into_the_tree_are_left(root: FakeRoot) -> None:
    root.write("newroot/nfsroot/keys/ssh_host_rsa_key", "x")
    root.link("newroot/etc/ssh", "/nfsroot/keys")
    assert root.run("new_root=/newroot; give_ssh_keys; echo status $?").console == "status 0\n"
    assert root.names("newroot/nfsroot/keys") == ["ssh_host_rsa_key"]


def test_a_system_without_ssh(root: FakeRoot) -> None:
    root.folder("newroot/etc/ssh")
    assert root.run("new_root=/newroot; give_ssh_keys; echo status $?").console == "status 0\n"
    assert root.calls("chroot") == []


def test_host_keys_that_cannot_be_removed_are_told(root: FakeRoot) -> None:
    root.fake("rm", when="ssh_host", fails=1)
    assert keys(root).warnings == ["/etc/ssh: the host keys that all clients share are still there"]


def test_host_keys_that_cannot_be_made_are_told(root: FakeRoot) -> None:
    root.fake("chroot", fails=127)
    said = keys(root)
    assert said.warnings == ["no SSH host keys: put some into the client's folder, etc/ssh"]
    assert said.console.endswith("status 0\n")
