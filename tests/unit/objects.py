"""Small object files with imported symbols, and small trees of modules made of them."""

import struct
from collections.abc import Mapping
from pathlib import Path

from tests.unit.small import PPC64, RELEASE, X86_64, dep_text, kernel_tree, make_tree

# Name: path, what it needs, its aliases, the symbols that it imports.
Extra = Mapping[str, tuple[str, list[str], list[str], list[str]]]


def object_file(
    *imports: str, exports: tuple[str, ...] = ("init_module",), bits: int = 64, little: bool = True
) -> bytes:
    """Return an object file (elf(5)) whose symbol table has `imports`, undefined, and `exports`."""
    order, wide = "<" if little else ">", bits == 64
    names = b"\0"
    table = bytes(24 if wide else 16)
    for number, name in enumerate((*exports, *imports)):
        section = 1 if number < len(exports) else 0
        values = (len(names), 0x10, 0, section, 0, 0) if wide else (len(names), 0, 0, 0x10, 0, section)
        table += struct.pack(order + ("IBBHQQ" if wide else "IIIBBH"), *values)
        names += name.encode() + b"\0"
    titles = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    head, row = (64, 64) if wide else (52, 40)
    parts = (b"code", table, names, titles)
    at, rows = head, struct.pack(order + ("IIQQQQIIQQ" if wide else "10I"), *[0] * 10)
    for title, kind, link, data in zip((1, 7, 15, 23), (1, 2, 3, 3), (0, 3, 0, 0), parts, strict=True):
        row_size = (24 if wide else 16) if kind == 2 else 0
        fields = (title, kind, 0, 0, at, len(data), link, 1, 1, row_size)
        rows += struct.pack(order + ("IIQQQQIIQQ" if wide else "10I"), *fields)
        at += len(data)
    machine = X86_64 if little else PPC64
    first = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    first += struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        1, machine, 1, 0, 0, at, 0, head, 0, 0, row, 5, 4,
    )  # fmt: skip
    return first + b"".join(parts) + rows


def tree_with(root: Path, extra: Extra) -> Path:
    """Make the small kernel's tree at `root` with more modules; return it."""
    tree = kernel_tree()
    folder = f"lib/modules/{RELEASE}"
    dep, alias = dep_text(), str(tree[f"{folder}/modules.alias"])
    paths = {line.partition(":")[0].rpartition("/")[2].removesuffix(".ko"): line.partition(":")[0]
             for line in dep.splitlines()}  # fmt: skip
    paths |= {name: path for name, (path, _, _, _) in extra.items()}
    for name, (path, needs, aliases, imports) in extra.items():
        tree[f"{folder}/{path}"] = object_file(*imports)
        dep += f"{path}:{''.join(f' {paths[need]}' for need in needs)}\n"
        alias += "".join(f"alias {each} {name}\n" for each in aliases)
    tree |= {f"{folder}/modules.dep": dep, f"{folder}/modules.alias": alias}
    return make_tree(root, tree)
