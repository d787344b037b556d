"""What `lshw -json` prints. With -numeric it has the ids, else the names of the drivers in use."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware import modalias

_IDS = re.compile(r".*\[([0-9A-F]{1,4}):([0-9A-F]{1,4})\]\s*", re.IGNORECASE | re.DOTALL)
_DRIVER = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Drivers of a bus whose network device is a node of its own.
_BUSES = frozenset({"virtio-pci", "usb", "hub"})


@dataclass(frozen=True, slots=True)
class Node:
    """A network device: its modalias if it is known, and the driver in use if that is."""

    place: str
    modalias: str | None
    driver: str | None


def looks_so(text: str) -> bool:
    """Say whether `text` begins as JSON does."""
    return text.lstrip()[:1] in ("{", "[")


def read(text: str, shown: str) -> Iterator[Node]:
    """Yield the nodes of class `network`; HardwareError if `text` is no output of lshw."""
    try:
        top = json.loads(text)
    except json.JSONDecodeError as error:
        raise HardwareError(f"{shown}:{error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise HardwareError(f"{shown}:1: not what lshw prints: too deep, or a number too long") from error
    nodes = 0
    todo = [top] if isinstance(top, dict) else list(reversed(top))
    while todo:
        node = todo.pop()
        if not isinstance(node, dict) or not isinstance(node.get("class"), str):
            raise HardwareError(f"{shown}:1: JSON, but not of lshw: a node without a class")
        nodes += 1
        children = node.get("children", [])
        todo += reversed(children) if isinstance(children, list) else [children]
        if node["class"] == "network":
            yield _node(node, nodes)
    if not nodes:
        raise HardwareError(f"{shown}:1: JSON, but without a node of lshw")


def _node(node: dict[str, object], number: int) -> Node:
    """Return what `node` says; lshw has no class codes, so the class is that of any network device."""
    place = node.get("businfo")
    product = node.get("product")
    configuration = node.get("configuration")
    driver = configuration.get("driver") if isinstance(configuration, dict) else None
    ids = _IDS.fullmatch(product) if isinstance(product, str) else None
    bus = place.partition("@")[0] if isinstance(place, str) else ""
    alias = None
    if ids and bus == "pci":
        alias = modalias.pci(ids[1].zfill(4), ids[2].zfill(4), "02" + modalias.UNKNOWN * 2)
    known = isinstance(driver, str) and _DRIVER.fullmatch(driver) and driver not in _BUSES
    return Node(
        place if isinstance(place, str) else f"node {number}",
        alias,
        str(driver) if known and alias is None else None,
    )
