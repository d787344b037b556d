"""What `lshw -json` prints. With -numeric it has the ids, else the names of the drivers in use."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware import modalias

_IDS = re.compile(r".*\[([0-9A-F]{1,4}):([0-9A-F]{1,4})\]\s*", re.IGNORECASE | re.DOTALL)
_DRIVER = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Drivers of USB's host controllers on PCI, and the modules that have them.
_USB = {"xhci_hcd": "xhci_pci", "ehci-pci": "ehci_pci", "ohci-pci": "ohci_pci", "uhci_hcd": "uhci_hcd"}


@dataclass(frozen=True, slots=True)
class Node:
    """A network device, or what it hangs on: its modalias if it is known, else the driver in use."""

    place: str
    modalias: str | None
    driver: str | None


def looks_so(text: str) -> bool:
    """Say whether `text` begins as JSON does."""
    return text.lstrip()[:1] in ("{", "[")


def read(text: str, shown: str) -> Iterator[Node]:
    """Yield the nodes of class `network`, and USB's host controllers if one of them is on USB.

    HardwareError if `text` is no output of lshw.
    """
    try:
        top = json.loads(text)
    except json.JSONDecodeError as error:
        raise HardwareError(f"{shown}:{error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise HardwareError(f"{shown}:1: not what lshw prints: too deep, or a number too long") from error
    nodes = 0
    usb = False
    controllers = []
    todo = [top] if isinstance(top, dict) else list(reversed(top))
    while todo:
        node = todo.pop()
        if not isinstance(node, dict) or not isinstance(node.get("class"), str):
            raise HardwareError(f"{shown}:1: JSON, but not of lshw: a node without a class")
        nodes += 1
        children = node.get("children", [])
        todo += reversed(children) if isinstance(children, list) else [children]
        if node["class"] == "network":
            found = _node(node, nodes)
            usb = usb or found.place.startswith("usb@")
            yield found
        elif node["class"] == "bus" and _driver(node) in _USB:
            controllers.append(Node(_place(node, nodes), None, _USB[_driver(node)]))
    if usb:
        yield from controllers
    if not nodes:
        raise HardwareError(f"{shown}:1: JSON, but without a node of lshw")


def _node(node: dict[str, object], number: int) -> Node:
    """Return what `node` says; lshw has no class codes, so the class is that of any network device."""
    place = _place(node, number)
    product = node.get("product")
    ids = _IDS.fullmatch(product) if isinstance(product, str) else None
    if ids and place.startswith("pci@"):
        alias = modalias.pci(ids[1].zfill(4), ids[2].zfill(4), "02" + modalias.UNKNOWN * 2)
        return Node(place, alias, None)
    return Node(place, None, _driver(node) or None)


def _place(node: dict[str, object], number: int) -> str:
    place = node.get("businfo")
    return place if isinstance(place, str) else f"node {number}"


def _driver(node: dict[str, object]) -> str:
    """Return the name of the driver in use; empty if there is none."""
    configuration = node.get("configuration")
    driver = configuration.get("driver") if isinstance(configuration, dict) else None
    return driver if isinstance(driver, str) and _DRIVER.fullmatch(driver) else ""
