"""What docs/benchmarks.md shows of the growth, and of the herd."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.markdown import table
from bench.plot import curves

Section = tuple[str, dict[str, str]]
_THINGS = {"build": "modules", "check": "inventories", "list": "MB of image", "why": "MB of image"}

GROWTH_WORDS = """\
`build` makes an image of so many drivers (copies of Debian 12's, each with five aliases, in chains of ten
that need each other), `check` judges so many inventories of twelve devices against one image, `list` and
`why` look into images with so many MB that cannot be compressed. The last column is the processor time that
each thing costs beyond the row before: where it stays the same or falls, the growth is linear.
"""
HERD_WORDS = """\
After a power cut, so many clients start within ten seconds; the servers answer at once, or two minutes
later, since they boot longer. Each client asks for a lease, DISCOVER and then REQUEST, and mounts its root.
What loaders do before (DHCP and TFTP of the card's ROM) is not in it: nothing here could change that.

The DHCP server answers {dhcp:g} requests a second; {dhcp_queue} wait for it, others are lost. The NFS server
does {nfs:g} mounts a second, with all that the client reads before it trusts a tree; {nfs_queue} wait, of
others TCP begins the connection again after 1, 2, 4 and 8 s. A mount that nobody waits for any longer is
dropped unserved. These figures are assumptions; answers take 0.2 ms, and to refuse a request costs nothing,
which flatters those who ask most.

*mkpxeinit* is what `init/` does, asked of its own shell code: {tries} requests a round, {pause:g} s after
each, {quick} rounds at once, then delays of {delays} s and so on; a mount has
{mount:g} s. *Three tries*: one such round, three mounts, then it stays down.
*No delay*: the same rounds, one after another for ever. Seconds count from when
there are servers; the peak is that of requests in one second while there are.
"""


def growth(result: Mapping[str, Any]) -> Section:
    """Return the text and the plot of how verbs grow."""
    rows: list[dict[str, Any]] = result["rows"]
    lines, series = [], {}
    for verb, things in _THINGS.items():
        own = [row for row in rows if row["verb"] == verb]
        series[f"{verb}, {things}"] = [(float(row["count"]), float(row["wall"])) for row in own]
        for before, row in zip([None, *own], own, strict=False):
            each = "" if before is None else f"{_each(before, row):.2f}"
            memory = f"{row['peak'] / 1e6:.0f}"
            seconds = f"{row['wall']:.2f}", f"{row['cpu']:.2f}"
            lines.append((f"{verb}, {row['count']:,} {things}", *seconds, memory, each))
    head = ("verb", "seconds", "CPU seconds", "peak memory, MB", "CPU ms for each more")
    name = "plots/growth.svg"
    plot = curves("Seconds by the number of modules, inventories, MB", "s", series)
    return f"{GROWTH_WORDS}\n{table(head, lines)}\n![growth]({name})\n", {name: plot}


def _each(before: Mapping[str, Any], row: Mapping[str, Any]) -> float:
    """Return the milliseconds of processor time that each thing more has cost."""
    return 1000 * (float(row["cpu"]) - float(before["cpu"])) / (int(row["count"]) - int(before["count"]))


def herd(result: Mapping[str, Any]) -> Section:
    """Return the text and the plots of the herd."""
    rows: list[dict[str, Any]] = result["rows"]
    policy = result["policy"]
    words = HERD_WORDS.format(
        dhcp=result["dhcp"]["rate"],
        dhcp_queue=result["dhcp"]["queue"],
        nfs=result["nfs"]["rate"],
        nfs_queue=result["nfs"]["queue"],
        tries=policy["tries"],
        pause=policy["pause"],
        quick=policy["quick_rounds"],
        mount=policy["mount_timeout"],
        delays=", ".join(f"{low} to {high}" for low, high in _different(policy["delays"])),
    )
    head = ("servers, clients", "kind", "never up", "half up, s", "all up, s", "peak, 1/s", "requests")
    lines = [
        (
            f"{_when(row['outage'])}, {row['clients']:,}",
            row["policy"],
            f"{row['never']:,}",
            f"{row['half']:.0f}" if 2 * row["never"] < row["clients"] else "never",
            f"{row['last']:.0f}" if not row["never"] else "never",
            f"{row['peak']:,}",
            f"{row['requests']:,}",
        )
        for row in rows
    ]
    plots = {
        "plots/herd-time.svg": _herd_plot(rows, "Seconds until all are up", "s", "last"),
        "plots/herd-peak.svg": _herd_plot(rows, "Most requests in a second", "1/s", "peak"),
    }
    images = "\n".join(f"![{name}]({name})" for name in plots)
    return f"{words}\n{table(head, lines)}\n{_most(rows)}\n{images}\n", plots


def _most(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each outage: how the largest herds compare."""
    lines = []
    most = max(row["clients"] for row in rows)
    for outage in dict.fromkeys(row["outage"] for row in rows):
        here = {row["policy"]: row for row in rows if (row["outage"], row["clients"]) == (outage, most)}
        ours, loop, three = here["mkpxeinit"], here["no delay"], here["three tries"]
        time, load = loop["last"] / ours["last"], loop["requests"] / ours["requests"]
        lines.append(
            f"- {most:,} clients, servers {_when(outage)}: without delays all are up after {time:.1f} × the "
            f"time and {load:.1f} × the requests of mkpxeinit; of those with three tries "
            f"{three['never'] / most:.0%} never are\n"
        )
    return "".join(lines)


def _different(delays: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    return [pair for number, pair in enumerate(delays) if number == 0 or pair != delays[number - 1]]


def _when(outage: int) -> str:
    return f"{outage} s late" if outage else "there"


def _herd_plot(rows: Sequence[Mapping[str, Any]], title: str, unit: str, key: str) -> str:
    """Return a curve for each kind of client and outage, where all come up."""
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if not row["never"]:
            name = f"{row['policy']}, servers {_when(row['outage'])}"
            series.setdefault(name, []).append((float(row["clients"]), float(row[key])))
    return curves(f"{title}, by the number of clients (where all come up)", unit, series)
