"""netconsole.sh: the kernel's netconsole= where it is a module."""

import pytest

from tests.init.fakeroot import FakeRoot
from tests.init.test_lease import run


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        ("@/,@10.0.0.9/", "@/eth0,@10.0.0.9/"),
        (
            "6665@10.0.2.15/eth1,6666@10.0.0.9/52:54:00:12:34:56",
            "6665@10.0.2.15/eth1,6666@10.0.0.9/52:54:00:12:34:56",
        ),
        ("+r@/,@10.0.0.9/", "+r@/eth0,@10.0.0.9/"),
    ],
)
def test_it_is_passed_on_when_there_is_an_address(root: FakeRoot, value: str, passed: str) -> None:
    root.nic()
    root.dhcp()
    said = run(root, f"netconsole={value}", code="phase_lease; phase_lease")
    assert root.calls("modprobe") == [["netconsole", f"netconsole={passed}"]]
    assert said.console.count(f"the kernel's messages go to netconsole={passed}") == 1
    order = [words[0] for words in root.all_calls() if words[0] in ("ip", "modprobe")]
    assert order.index("modprobe") > order.index("ip")


def test_without_the_module_the_boot_goes_on(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake("modprobe", when="netconsole", fails=1)
    said = run(root, "netconsole=@/,@10.0.0.9/")
    assert "was not started: no module in the image" in said.warnings[0]
    assert said.console.endswith("status 0\n")


def test_nothing_is_loaded_unasked(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    run(root)
    assert root.calls("modprobe") == []
