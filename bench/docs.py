"""docs/benchmarks.md and its plots, made of `bench/results/*.json` and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import boot_words, frame, growth_words
from bench.markdown import table
from bench.plot import Bar, bars
from mkpxeinit.image.output import replacing

DOCS = Path(__file__).resolve().parent.parent / "docs"
_PAGE = "benchmarks.md"
_PLOTS = "plots"
_HEAD = """# Benchmarks

Written by `make bench` from `bench/results/*.json`; a test compares the two. All cases of a part ran in one
go, in turns, the other way round every second round; figures are medians. Machines differ: what counts are
the ratios within one table.
"""
_SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
# Other cases by what they are set against, and the words for it.
_RATIOS = (
    ("initramfs-tools netboot", "mkpxeinit", "initramfs-tools netboot ÷ mkpxeinit"),
    ("dracut", "mkpxeinit", "dracut ÷ mkpxeinit"),
)

Result = Mapping[str, Any]
Files = dict[str, str]


def generated() -> Files:
    """Return the page and its plots, by their paths below docs/."""
    text, files = [_HEAD], {}
    for name, section in _SECTIONS.items():
        result = frame.load(name)
        if result is not None:
            words, plots = section(result)
            text.append(f"## {result['title']}\n\n{words}\n{_conditions(result)}")
            files.update(plots)
    return {_PAGE: "\n".join(text), **files}


def write() -> list[Path]:
    """Write all of `generated`, each file whole or not at all; return their paths."""
    paths = []
    for name, text in generated().items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as file:
            file.write(text.encode())
        path.chmod(0o644)
        paths.append(path)
    return paths


def _conditions(result: Result) -> str:
    """Return on what and with what a result was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items()))
    count = result.get("rounds")
    rounds = f"; {count} round{'s' if count > 1 else ''}" if count else ""
    return f"Machine: {result['machine']}{rounds}.\n\nVersions: {versions}.\n"


def _build(result: Result) -> tuple[str, Files]:
    text, files = [], {}
    for suite, shown in _SUITES.items():
        rows = [row for row in result["rows"] if row["suite"] == suite]
        if not rows:
            continue
        rows_shown = table(
            (shown, "seconds", "CPU seconds", "peak memory, MB", "image, MB", "unpacked, MB"),
            (
                (
                    row["case"],
                    f"{row['wall']:.2f}",
                    f"{row['cpu']:.2f}",
                    f"{row['peak'] / 1e6:.0f}",
                    f"{row['size'] / 1e6:.2f}",
                    f"{row['unpacked'] / 1e6:.1f}",
                )
                for row in rows
            ),
        )
        plots = {
            f"{_PLOTS}/build-time-{suite}.svg": _build_plot(
                rows, f"{shown}: seconds to build", "s", "wall", 1
            ),
            f"{_PLOTS}/build-size-{suite}.svg": _build_plot(
                rows, f"{shown}: megabytes of the image", "MB", "size", 1e6
            ),
        }
        text.append(f"{rows_shown}\n{_build_ratios(rows)}\n{_shown(plots)}")
        files.update(plots)
    return f"{_BUILD_WORDS}\n" + "\n".join(text), files


def _shown(plots: Files) -> str:
    """Return the lines of a page that show plots, by their names."""
    return "".join(f"![{Path(name).stem}]({name})\n" for name in plots)


_BUILD_WORDS = """`mkpxeinit` is `build` without options and without its cache, `hardware` for one
virtio machine, `rebuild` with another command line each time and the cache of the build before, `stripped`
with `--strip-modules`: no debug data and no signatures, for where there is no Secure Boot. The floor
is `cpio | zstd -T0` of exactly the files in our image. Peak memory is that of the largest process. Files
are in the page cache for all of them; the peers run by chroot in the tree that we build from, initramfs-
tools with BOOT=nfs, dracut with `--no-hostonly --add nfs` and the network of its suite. mkinitcpio and
booster are in no suite of Debian's archive (12, 13, forky, sid).
"""


def _build_plot(rows: Sequence[Result], title: str, unit: str, key: str, scale: float) -> str:
    shown = [Bar(row["case"], (row[key] / scale,), row["case"].startswith("mkpxeinit")) for row in rows]
    return bars(title, unit, shown, digits=2 if key == "wall" else 1)


def _build_ratios(rows: Sequence[Result]) -> str:
    """Return what the issue of speed asks for, as ratios of the table's figures."""
    cases = {row["case"]: row for row in rows}
    lines = []
    for one, other, words in _RATIOS:
        if one in cases and other in cases:
            time = cases[one]["wall"] / cases[other]["wall"]
            size = cases[other]["size"] / cases[one]["size"]
            lines.append(f"- {words}: {time:.1f} × the time; our image has {size:.2f} × the size of theirs")
    floor = next((row for name, row in cases.items() if name.startswith("floor") and "19" not in name), None)
    if floor and "mkpxeinit" in cases:
        ours = cases["mkpxeinit"]["wall"]
        limit = 1.5 * floor["wall"] + 0.25
        ratio = ours / floor["wall"]
        lines.append(
            f"- mkpxeinit ÷ floor: {ratio:.2f} ({ours:.2f} s; 1.5 × the floor and 0.25 s are {limit:.2f} s)"
        )
    return "".join(f"{line}\n" for line in lines)


def _boot(result: Result) -> tuple[str, Files]:
    rows = sorted(result["rows"], key=lambda row: (row["suite"], row["nic"], row["mode"]))
    rows_shown = table(
        ("tool", "suite", "mode", "card", "power-on → init, s", "init → real init, s", "→ its first line, s"),
        (
            (
                row["tool"],
                _SUITES.get(row["suite"], row["suite"]),
                row["mode"],
                row["nic"],
                f"{row['power_on_to_init']:.1f}",
                f"{row['init_to_real']:.2f}" + (f" ({row['lost']:.1f} lost)" if row["lost"] else ""),
                f"{row['real_to_line']:.2f}",
            )
            for row in rows
        ),
    )
    phases = ("power-on → Run /init", "Run /init → real init", "→ systemd's first line")
    plots: Files = {}
    for suite in dict.fromkeys(row["suite"] for row in rows):
        shown = [
            Bar(
                f"{row['tool']}, {row['mode']}, {row['nic']}",
                (row["power_on_to_init"], row["init_to_real"], row["real_to_line"]),
                row["tool"].startswith("mkpxeinit"),
            )
            for row in rows
            if row["suite"] == suite
        ]
        title = f"{_SUITES[suite]}: seconds from power-on to the real init and its first line"
        plots[f"{_PLOTS}/boot-{suite}.svg"] = bars(title, "s", shown, phases)
    words = f"{boot_words.WORDS}\n{rows_shown}\n{boot_words.ratios(rows, _SUITES)}"
    return f"{words}\n{_shown(plots)}", plots


# Result: what makes a section of it.
_SECTIONS: dict[str, Callable[[Result], tuple[str, Files]]] = {
    "build": _build,
    "boot": _boot,
    "growth": growth_words.growth,
    "herd": growth_words.herd,
}
