"""pxelab: a laboratory for diskless clients on one machine.

Virtual machines by QEMU, a private network with DHCP, DNS and TFTP by dnsmasq, NFS by
NFS-Ganesha, real Debian trees by mmdebstrap. Needs root, no KVM, no kernel NFS. All of it
lives in anonymous namespaces and vanishes with the program that made it.

    with Lab.open() as lab:
        lab.ganesha({"/netboot/client": tree.path})
        lab.dnsmasq(root_path="/netboot/client")
        client = lab.machine(Machine(kernel=tree.vmlinuz, initrd=(image,)))
        client.expect(r"login:", 120)
        client.guest("systemctl is-system-running --wait", 120)
        client.power_off()
"""

from . import trees
from .console import Console, Seen
from .dnsmasq import DhcpClient, DhcpSettings, Dnsmasq
from .errors import DeadlineError, LabError, MachineExitedError, MissingProgramError
from .ganesha import Ganesha, NfsSettings
from .guest import GuestResult, hook_segment
from .lab import SERVER, USER_SERVER, Lab
from .machine import Machine, Nic
from .odd import Loss, Voice
from .running import RunningMachine
from .trees import Tree

__all__ = [
    "SERVER",
    "USER_SERVER",
    "Console",
    "DeadlineError",
    "DhcpClient",
    "DhcpSettings",
    "Dnsmasq",
    "Ganesha",
    "GuestResult",
    "Lab",
    "LabError",
    "Loss",
    "Machine",
    "MachineExitedError",
    "MissingProgramError",
    "NfsSettings",
    "Nic",
    "RunningMachine",
    "Seen",
    "Tree",
    "Voice",
    "hook_segment",
    "trees",
]
