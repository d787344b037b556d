"""drivers.sh and the modules of early.sh: which devices reach modprobe."""

import pytest

from mkpxeinit.content import alias_buses
from tests.init.fakeroot import FakeRoot

NIC = "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00"
USB_HOST = "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30"
DISPLAY = "pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00"
DEVICES = {
    "pci/0000:00:02.0": DISPLAY,
    "pci/0000:00:03.0": NIC,
    "pci/0000:00:04.0": NIC,
    "pci/0000:00:05.0": USB_HOST,
    "virtio/virtio0": "virtio:d00000001v00001AF4",
    "virtio/virtio1": "virtio:d00000002v00001AF4",
    "vmbus/a": "vmbus:635161f83edfc546913ff2d2f965ed0e",
    "acpi/VMBUS:00": "acpi:VMBUS:VMBus:",
    "acpi/LNRO0005:00": "acpi:LNRO0005:",
    "acpi/PNP0A03:00": "acpi:PNP0A03:",
    "platform/eth": "of:NethernetT(null)Cbrcm,bcm2711-genet-v5",
    "platform/rtc": "platform:rtc",
    "usb/1-1": "usb:v0BDAp8153d3100dc00dsc00dp00icFFiscFFip00in00",
}
# What the image's modules name, in the forms of modules.alias.
ALIASES = """# Aliases extracted from modules themselves.
alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000
alias acpi*:LNRO0005:* virtio_mmio
alias acpi*:VMBUS:* hv_vmbus
alias virtio:d00000001v* virtio_net
alias vmbus:635161f83edfc546913ff2d2f965ed0e hv_netvsc
alias of:N*T*Cbrcm,bcm2711-genet-v5 genet
alias nfs4 nfs
alias mdio:0000000000011100110010?????????? realtek
"""
FIRST = [DISPLAY, NIC, USB_HOST, "acpi:LNRO0005:", "acpi:VMBUS:VMBus:"]
SECOND = [
    "virtio:d00000001v00001AF4",
    "virtio:d00000002v00001AF4",
    "vmbus:635161f83edfc546913ff2d2f965ed0e",
    "of:NethernetT(null)Cbrcm,bcm2711-genet-v5",
]


def plant(root: FakeRoot, devices: dict[str, str], aliases: str = ALIASES) -> None:
    root.write("lib/modules/6.1.0-test/modules.alias", aliases)
    for place, alias in devices.items():
        bus, name = place.split("/")
        root.write(f"sys/bus/{bus}/devices/{name}/modalias", alias)


def test_one_call_for_the_devices_one_for_what_they_bring(root: FakeRoot) -> None:
    plant(root, DEVICES)
    root.run("read_release; phase_drivers; phase_drivers; load_bus_drivers")
    assert root.calls("modprobe") == [["-a", "-q", *FIRST], ["-a", "-q", *SECOND]]


@pytest.mark.parametrize(
    ("line", "place", "alias"),
    [
        ("usb:v0BDAp8153d*dc*dsc*dp*icFFisc*ip*in* r8152", "usb/1-1", DEVICES["usb/1-1"]),
        ("platform:rtc rtc", "platform/rtc", "platform:rtc"),
        ("xen:vif xen_netfront", "xen/vif-0", "xen:vif"),
        ("spi:enc28j60 enc28j60", "spi/spi0.0", "spi:enc28j60"),
        ("of:N*T*Cx,y* z", "spi/spi0.1", "of:NethernetT(null)Cx,y"),
        ("fsl-mc:v00001957ddpni fsl_dpaa2_eth", "fsl-mc/dpni.0", "fsl-mc:v00001957ddpni"),
        ("acpi*:APMC0D05:* xgene_enet", "acpi/APMC0D05:00", "acpi:APMC0D05:"),
    ],
)
def test_a_bus_counts_if_the_image_can_drive_it(root: FakeRoot, line: str, place: str, alias: str) -> None:
    plant(root, {place: alias}, "alias fs-nfs nfs\nalias pci:v1d2 e1000\n")
    root.run("read_release; phase_drivers")
    assert root.calls("modprobe") == []
    plant(root, {place: alias, "acpi/PNP0A03:00": "acpi:PNP0A03:"}, f"alias {line}\n")
    root.run("read_release; phase_drivers")
    assert root.calls("modprobe") == [["-a", "-q", alias]]


def test_what_a_driver_makes_for_another(root: FakeRoot) -> None:
    """Devices of the auxiliary bus have no file modalias: their name without the number is it."""
    root.folder("sys/bus/auxiliary/devices/mlx4_core.eth.0")
    plant(root, {}, "alias auxiliary:mlx4_core.eth mlx4_en\n")
    root.run("read_release; phase_drivers")
    assert root.calls("modprobe") == [["-a", "-q", "auxiliary:mlx4_core.eth"]]


ODD_ALIASES = """alias nocolon x
alias Upper:x x
alias acpi*:A B:* x
alias acpi*:PNP0A03:* x
alias acpi:PNP0A03:* y
alias acpi*:$(reboot):* x
alias fs-nfs nfs
alias ax*:b x
alias a**:b x
alias fsl-mc:v00001957ddpni x
alias net-pf-16-proto-16-family-nl80211 x
alias :x x
"""


@pytest.mark.parametrize("text", [ALIASES, ALIASES + ODD_ALIASES])
def test_the_builders_list_of_buses(root: FakeRoot, text: str) -> None:
    """It says what the client would make of all the aliases."""
    code = 'read_release; read_image_buses; echo "$image_buses|$image_acpi"'
    plant(root, {}, text)
    looked_for = root.run(code).console
    assert " pci " in looked_for
    patterns = [line.split()[1] for line in text.splitlines() if line.startswith("alias ")]
    listed = "".join(f"{bus}\n" for bus in alias_buses(patterns))
    root.write("lib/modules/6.1.0-test/modules.buses", listed)
    root.fake("awk", fails=1)
    assert root.run(code).console == looked_for
    assert root.calls("awk") == []


def test_a_bus_without_devices(root: FakeRoot) -> None:
    root.folder("sys/bus/auxiliary/devices")
    plant(root, {}, "alias auxiliary:mlx4_core.eth mlx4_en\n")
    root.run("read_release; phase_drivers")
    assert root.calls("modprobe") == []


def test_without_a_list_of_aliases_nothing_is_called(root: FakeRoot) -> None:
    plant(root, DEVICES)
    root.place("lib/modules/6.1.0-test/modules.alias").unlink()
    assert root.run("read_release; phase_drivers; echo $?").console == "0\n"
    assert root.calls("modprobe") == []


def test_devices_that_come_later_are_found_later(root: FakeRoot) -> None:
    plant(root, {"pci/0000:00:03.0": NIC})
    root.fake(
        "modprobe",
        when=NIC,
        does="cd /sys/bus; mkdir -p virtio/devices/v; echo virtio:d00000001vX > virtio/devices/v/modalias",
    )
    root.run("read_release; phase_drivers; load_bus_drivers")
    assert root.calls("modprobe") == [["-a", "-q", NIC], ["-a", "-q", "virtio:d00000001vX"]]


def test_without_devices_nothing_is_called(root: FakeRoot) -> None:
    assert root.run("read_release; phase_drivers").console == ""
    assert root.calls("modprobe") == []


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "-r bc02sc",
        "pci: -r bc02sc",
        "pci:bc02sc;touch x",
        "pci:$(touch canary)bc02sc",
        "pci:`x`bc02sc00",
        "pci:bc02sc/../x",
    ],
)
def test_hostile_aliases_are_no_aliases(root: FakeRoot, alias: str) -> None:
    plant(root, {"pci/0000:00:03.0": alias, "vmbus/x": alias.replace("pci:", "vmbus:")})
    assert root.run("read_release; phase_drivers").console == ""
    assert root.calls("modprobe") == []


def test_named_modules_are_loaded_by_name(root: FakeRoot) -> None:
    root.write("etc/pxeinit/modules", "e1000\n\n-r\na b\nx;y\n$(touch canary)\nsnd-pcm_oss\n")
    root.run("read_release; phase_drivers")
    assert root.calls("modprobe") == [["-a", "e1000", "snd-pcm_oss"]]


def test_named_modules_that_fail_are_told(root: FakeRoot) -> None:
    root.write("etc/pxeinit/modules", "e1000")
    root.fake("modprobe", fails=1, says="modprobe: module e1000 not found")
    said = root.run("read_release; phase_drivers; echo $?")
    assert said.warnings == ["not every module of --module could be loaded: e1000"]
    assert "module e1000 not found" in said.console
    assert said.console.endswith("\n0\n")


def test_a_missing_list_is_no_failure(root: FakeRoot) -> None:
    root.place("etc/pxeinit/modules").unlink()
    assert root.run("read_release; phase_drivers; echo $?").console == "0\n"


def test_file_systems_load_beside_the_network(root: FakeRoot) -> None:
    root.fake("modprobe", does="touch /tmp/loaded")
    said = root.run(
        "start_root_modules; wait_root_modules; [ -e /tmp/loaded ] && echo joined; wait_root_modules"
    )
    assert said.console == "joined\n"
    assert root.calls("modprobe") == [["-a", "-q", "nfs", "nfsv4", "overlay"]]


@pytest.mark.parametrize(
    ("cmdline", "version"),
    [
        ("nfsroot=10.0.2.2:/srv,vers=3", "nfsv3"),
        ("nfsroot=10.0.2.2:/srv,soft,nfsvers=3,tcp", "nfsv3"),
        ("root=nfs:10.0.2.2:/srv,v3", "nfsv3"),
        ("nfsroot=10.0.2.2:/srv,vers=4", "nfsv4"),
        ("nfsroot=10.0.2.2:/vers=3", "nfsv4"),
        ("", "nfsv4"),
    ],
)
def test_the_large_module_of_nfs_is_loaded_where_it_may_be_used(
    root: FakeRoot, cmdline: str, version: str
) -> None:
    root.write("proc/cmdline", cmdline)
    root.run("phase_early; wait_root_modules")
    assert root.calls("modprobe") == [["-a", "-q", "nfs", version, "overlay"]]


@pytest.mark.parametrize("online", ["0", None])
def test_one_processor_loads_the_network_first(root: FakeRoot, online: str | None) -> None:
    if online is None:
        root.place("sys/devices/system/cpu/online").unlink()
    else:
        root.write("sys/devices/system/cpu/online", online)
    root.write("etc/pxeinit/modules", "first")
    root.run("phase_early; phase_drivers; phase_drivers; wait_root_modules; phase_drivers; wait_root_modules")
    files = ["-a", "-q", "nfs", "nfsv4", "overlay"]
    assert [words for words in root.calls("modprobe") if words[-1] != "first"] == [files]
    assert root.calls("modprobe")[0] == ["-a", "first"]


def test_a_kernel_of_another_build_is_told_and_goes_on(root: FakeRoot) -> None:
    root.write("etc/pxeinit/release", "6.12.0-other")
    said = root.run("phase_early && echo on")
    assert said.reports("PXE-INIT-early-release")
    assert "the kernel is 6.1.0-test, the image was built for 6.12.0-other" in said.console
    assert said.console.endswith("on\n")


UNSIGNED = "etc/pxeinit/unsigned"
ENFORCED = "sys/module/module/parameters/sig_enforce"
LOCKDOWN = "sys/kernel/security/lockdown"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (ENFORCED, "Y"),
        (LOCKDOWN, "none [integrity] confidentiality"),
        (LOCKDOWN, "none integrity [confidentiality]"),
    ],
)
def test_stripped_modules_and_a_kernel_that_takes_signed_ones(root: FakeRoot, path: str, text: str) -> None:
    root.write(UNSIGNED, "")
    root.write(path, f"{text}\n")
    said = root.run("phase_early && echo on")
    assert said.reports("PXE-INIT-early-unsigned")
    assert said.console.endswith("on\n")
    assert root.calls("mount")[-1][-2:] == ["securityfs", "/sys/kernel/security"]


@pytest.mark.parametrize("unsigned", [True, False])
def test_stripped_modules_where_nobody_asks_for_signatures(root: FakeRoot, unsigned: bool) -> None:
    if unsigned:
        root.write(UNSIGNED, "")
    root.write(ENFORCED, "N\n" if unsigned else "Y\n")
    root.write(LOCKDOWN, "[none] integrity confidentiality\n" if unsigned else "none [integrity]\n")
    assert root.run("phase_early").codes == []


def test_early_mounts_what_is_missing(root: FakeRoot) -> None:
    root.run("phase_early")
    assert [words[-1] for words in root.calls("mount")] == ["/sys", "/dev", "/run"]
    assert root.state()["version"] == "0.1.0"


def test_init_mounts_proc_before_anything_else(booting: FakeRoot) -> None:
    booting.place("proc").rename(booting.place("hidden"))
    booting.fake("mount", when="/proc", does="/bin/mv /hidden /proc")
    assert booting.boot().status == 0
    assert [words for words in booting.all_calls() if words[0] == "mount"][0][-1] == "/proc"
    assert booting.state()["phase.early"] == "3.00"


def test_early_leaves_what_is_mounted(root: FakeRoot) -> None:
    root.write("proc/self/mounts", "none / tmpfs rw 0 0\nsys /sys sysfs rw 0 0\ndev /dev devtmpfs rw 0 0\n")
    said = root.run("phase_early; echo $root_type")
    assert [words[-1] for words in root.calls("mount")] == ["/run"]
    assert said.console == "tmpfs\n"


def test_early_does_without_devtmpfs_and_files(root: FakeRoot) -> None:
    root.fake(
        "mount", when="devtmpfs", fails=255, says="mount: mounting devtmpfs on /dev failed: No such device"
    )
    for name in ("release", "version"):
        root.place(f"etc/pxeinit/{name}").unlink()
    said = root.run("phase_early; has_devtmpfs || echo none")
    assert said.console == "none\n"
    assert root.state()["version"] == "unknown"


SETTINGS = "etc/modprobe.d/tree.conf"


def test_parameters_of_modules_reach_modprobe(root: FakeRoot) -> None:
    """Those of the image's line and the loader's, behind the tree's own; blanks are quoted."""
    root.write(SETTINGS, "options e1000 debug=1")
    root.write(
        "etc/cmdline", "snd-hda.model=x bonding.mode=1 modprobe.blacklist=e100,,snd-pcm,a;b,-r panic=1"
    )
    root.write("proc/cmdline", 'ro e1000.debug=16 nfs.flag dummy.name="a b" xhci_pci.quirks=0x1,2-3:4;$(x)')
    root.run("phase_early")
    assert root.place(SETTINGS).read_text().splitlines() == [
        "options e1000 debug=1",
        "options snd-hda model=x",
        "options bonding mode=1",
        "blacklist e100",
        "blacklist snd-pcm",
        "options e1000 debug=16",
        "options nfs flag",
        'options dummy name="a b"',
        "options xhci_pci quirks=0x1,2-3:4;$(x)",
    ]


@pytest.mark.parametrize(
    "word",
    [
        "10.0.2.2:/srv",
        "-r.x=1",
        "a/b.c=1",
        "../a.c=1",
        "a.=1",
        ".b=1",
        "a.b/c=1",
        "$(touch canary).x=1",
        "a.b.c=1",
        "a.",
        "plain",
        "pxeinit.debug",
        "modprobe.blacklist=",
        "modprobe.blacklist",
    ],
)
def test_what_is_no_parameter_of_a_module(root: FakeRoot, word: str) -> None:
    root.write("proc/cmdline", word)
    root.run("phase_early")
    assert not root.place("canary").exists()
    assert not root.place(SETTINGS).exists()


@pytest.mark.parametrize("value", ["a#b", "a\\", "\x1b[1m", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_values_that_modprobe_cannot_read(root: FakeRoot, value: str) -> None:
    root.write("proc/cmdline", f"e1000.name={value} e1000.debug=1")
    said = root.run("phase_early")
    assert len(said.warnings) == 1 and said.warnings[0].startswith("e1000.name=")
    assert root.place(SETTINGS).read_text() == "options e1000 debug=1\n"


def test_settings_are_there_before_the_first_module(root: FakeRoot) -> None:
    root.write("proc/cmdline", "nfs.flag=1")
    root.fake("modprobe", does=f"cat /{SETTINGS} > /tmp/seen")
    root.run("phase_early; wait_root_modules")
    assert root.place("tmp/seen").read_text() == "options nfs flag=1\n"


def test_without_parameters_nothing_is_written(root: FakeRoot) -> None:
    root.write("proc/cmdline", "ro quiet panic=10 root=/dev/nfs nfsroot=10.0.2.2:/srv/x.y,vers=4.2")
    root.run("phase_early")
    assert not root.place("etc/modprobe.d").exists()
