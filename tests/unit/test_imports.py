"""Imports go downward only, and each library has its one importer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mkpxeinit

ROOT = Path(mkpxeinit.__file__).parent

# Each row may import from the rows above it, and from its own row only what stands to its left.
ROWS = (
    ("mkpxeinit", "errors", "meant"),
    ("sysroot", "workers", "elf", "dynamic", "resources", "image.compress", "reason"),
    ("kernel.release", "kernel.modprobed", "kernel.builtin", "kernel.circle"),
    ("kernel.index", "kernel.firmware", "kernel.modulefile", "kernel.strip"),
    ("hardware.pci", "hardware.modalias"),
    ("hardware.given", "hardware.lspci", "hardware.lshw", "hardware.inventory", "hardware.devices"),
    ("kernel.symbols", "hardware.network", "hardware.drivers", "hardware.leftout"),
    ("busybox", "selection", "builtin"),
    ("image.entry", "image.plan", "image.cpio", "image.output", "cache", "image.assemble", "image.reasons"),
    ("busybox_config", "busybox_build"),
    ("image.lz4", "image.unpack", "image.read", "image.tree", "image.catalogue", "image.extract"),
    ("image.why", "image.compare"),
    ("coverage", "check"),
    ("programs.loader", "programs.libraries", "programs.place", "programs.cache", "programs.script"),
    ("programs.gather", "treeinit", "files", "dropins"),
    ("content",),
    ("build",),
    ("api",),
    ("netboot.values", "netboot.parts", "netboot.consistency", "netboot.site"),
    ("netboot.menu", "netboot.entries", "netboot.table", "netboot.description"),
    ("netboot.bootfile", "netboot.pxelinux", "netboot.grub", "netboot.ipxe", "netboot.nfs"),
    ("netboot.exported",),
    ("netboot.dnsmasq", "netboot.dhcpd", "netboot.kea", "netboot.exports", "netboot.ganesha"),
    ("netboot.tftpd", "netboot.nginx", "netboot.writers", "netboot.place"),
    ("netboot.tftproot", "netboot.generation", "netboot.published", "netboot.moves", "netboot.menus"),
    ("netboot.switch", "netboot.loaders", "netboot.secrets", "netboot.publish"),
    ("netboot.references", "netboot.freshness", "netboot.served"),
    ("netboot.probe.wire", "netboot.probe.finding", "netboot.probe.dhcp_codec", "netboot.probe.interface"),
    ("netboot.probe.tftp", "netboot.probe.http", "netboot.probe.dns", "netboot.probe.fileset"),
    ("netboot.probe.rpc", "netboot.probe.nfs", "netboot.probe.nfs3", "netboot.probe.nfs4"),
    ("netboot.probe.bootfiles", "netboot.probe.entry", "netboot.probe.rootspec", "netboot.probe.squashfs"),
    ("netboot.probe.pxelinux_config", "netboot.probe.grub_config", "netboot.probe.ipxe_script"),
    ("netboot.probe.dhcp_check", "netboot.probe.boot_check", "netboot.probe.nfs_check"),
    ("netboot.probe.verify",),
    ("netboot.serve_process", "netboot.serve_reports", "netboot.serve_http", "netboot.serve_nfs"),
    ("netboot.serve_nginx", "netboot.serve_site", "netboot.serve"),
    ("doctor_needs", "doctor"),
    ("parameters",),
    ("hooks.config", "hooks.state", "hooks.run"),
    ("cli.say", "cli.complete", "cli.completion"),
    ("cli.forms",),
    ("timeline", "cli.timeline"),
    ("cli.build", "cli.boot", "cli.list", "cli.why", "cli.diff", "cli.check", "cli.cat", "cli.extract"),
    ("cli.busybox",),
    ("prepare.view", "prepare.change", "prepare.systemd", "prepare.openrc"),
    ("prepare.mtab", "prepare.resolv_conf", "prepare.fstab", "prepare.nfsmount", "prepare.ifupdown"),
    ("prepare.networkmanager", "prepare.networkd", "prepare.wicked", "prepare.dhcpcd", "prepare.netplan"),
    ("prepare.cloud_init", "prepare.machine_id", "prepare.identity", "prepare.ssh_host_keys"),
    ("prepare.fsck", "prepare.hardware", "prepare.network_root", "prepare.package_database"),
    ("prepare.package_jobs", "prepare.logs", "prepare.timers", "prepare.selinux", "prepare.dev_archive"),
    ("prepare.boot_databases", "prepare.catalogue"),
    ("prepare.writer", "prepare.record", "prepare.plan", "prepare.diff", "prepare.apply", "prepare.chroot"),
    ("prepare.prepare",),
    ("cli.prepare",),
    ("cli.server_config", "cli.publish_show", "cli.publish"),
    ("hooks.scripts", "hooks.transaction", "hooks.standing"),
    ("cli.hook_run", "cli.hook"),
    ("cli.verify_server", "cli.serve", "cli.doctor"),
    ("cli.main",),
    ("manual.places", "manual.roff", "manual.markdown", "manual.pages", "manual.__main__"),
    ("__main__",),
)
ORDER = [name for row in ROWS for name in row]
EMPTY = {
    *(
        "hooks",
        "kernel",
        "hardware",
        "image",
        "prepare",
        "programs",
        "netboot",
        "netboot.probe",
        "cli",
        "manual",
    ),
}
OWNERS = {
    "libarchive": {"image.cpio"},
    "zstandard": {"image.compress"},
    "elftools": {"elf"},
    "click": {name for name in ORDER if name.startswith(("cli.", "manual."))},
    "pxelab": {"cli.boot"},
    "subprocess": {"busybox_build", "kernel.strip", "netboot.serve_process", "prepare.chroot"},
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "mkpxeinit"
        yield name, ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of what is imported, `a.b` for `from a import b` as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def test_every_module_has_its_place() -> None:
    assert {name for name, _ in modules()} == set(ORDER) | EMPTY


def test_downward_only() -> None:
    for name, tree in modules():
        if name in EMPTY:
            assert not list(imported(tree)), f"{name} is a folder's docstring only"
            continue
        if name == "mkpxeinit":
            continue  # its names of api are for type checkers: tests/unit/test_api.py holds what it loads
        for target in imported(tree):
            if not target.startswith("mkpxeinit"):
                continue
            inside = target.removeprefix("mkpxeinit.")
            owner = next((n for n in (inside, inside.rpartition(".")[0]) if n in ORDER), "mkpxeinit")
            assert ORDER.index(owner) < ORDER.index(name), f"{name} imports {target}"


def test_each_library_has_its_importer() -> None:
    for name, tree in modules():
        for target in imported(tree):
            library = target.partition(".")[0]
            assert name in OWNERS.get(library, {name}), f"{name} imports {library}"


def test_nothing_prints_or_exits_but_the_command_line() -> None:
    for name, tree in modules():
        if name.startswith("cli") or name == "__main__":
            continue
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called.isdisjoint({"print", "exit", "eval", "exec"}), name
        assert "sys.exit" not in set(imported(tree))
