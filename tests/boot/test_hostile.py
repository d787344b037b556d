"""Hostile values of a DHCP server and a booted client: nothing is executed, nothing is written elsewhere.

Every value in every option goes through the same scripts, without a machine, in tests/lab.
"""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree, Voice
from tests.boot.quick import EXPORT, read_report, reporting_tree
from tests.lab.hostile import MARK, rotation
from tests.lab.test_hostile_dhcp import NAMES, SAFE

FIND = "{ find / -xdev; find /run /newroot -xdev; } 2>/dev/null | sort -u"
BEFORE = f"#!/bin/sh\n{FIND} > /run/lab-before\n"
AFTER = f"""#!/bin/sh
{FIND} > /run/lab-after
echo '<<files>>'
grep -vxFf /run/lab-before /run/lab-after
echo '<</files>>'
"""
OURS = ("/tmp/", "/run/pxeinit", "/run/lab-", "/etc/resolv.conf", "/dev/")
LEASE = 'cd /run/pxeinit/lease/* && for n in *; do echo "$n=$(cat $n)"; done'


@pytest.mark.parametrize(
    "number", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]
)
def test_a_hostile_server(lab: Lab, bookworm: Tree, bookworm_image: Path, number: int) -> None:
    lab.ganesha(
        {EXPORT: reporting_tree(lab, bookworm, {"lease": LEASE, "canary": f"ls -d {MARK} /nfsroot{MARK}"})}
    )
    options = rotation(number)
    assert len(options) > 20
    lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",), options))
    machine = lab.machine(
        Machine(
            kernel=bookworm.vmlinuz,
            initrd=(bookworm_image,),
            append=f"nfsroot={SERVER}:{EXPORT}",
            guest=False,
            files={
                "lib/pxeinit/hooks/early/90-before": BEFORE.encode(),
                "lib/pxeinit/hooks/lease/90-after": AFTER.encode(),
            },
        )
    )
    report = read_report(machine)
    assert [line for line in report.sections["files"].splitlines() if not line.startswith(OURS)] == []
    assert report.sections["canary"].count("No such file") == 2
    kept = dict(line.split("=", 1) for line in report.sections["lease"].splitlines())
    assert kept["address"] == "10.77.0.150"
    assert kept.keys() <= NAMES
    assert all(set(value) <= SAFE for value in kept.values())
    log = report.sections["log"]
    # (busybox drops some before the client sees them.)
    assert log.count("is dropped: not valid") > 3
    assert log.isascii()
    assert report.state["root"] == f"{SERVER}:{EXPORT}"


def test_a_root_path_that_is_none(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Where it cannot go on, it says so: a root-path whose letters pass and which leads outside."""
    lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",), ((17, b"/srv/../../etc"),)))
    append = "panic=1 pxeinit.arp=no"
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append=append, guest=False)
    )
    machine.expect(r"PXE-INIT-root-bad-path: DHCP option 17 \(root-path\) '/srv/\.\./\.\./etc'", 60)
    machine.wait(30)
