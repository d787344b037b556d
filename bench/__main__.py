"""`python -m bench [--rounds N] [PART]...`: measures, then writes docs/benchmarks.md anew."""

import argparse
import importlib

from bench import docs, frame, peers

# Each is a module here, with a function `run(rounds)` that returns a result for frame.save.
PARTS: tuple[str, ...] = ("build", "boot", "growth", "herd")
OF_SUITES = ("build", "boot")  # theirs take the suites, too


def main() -> None:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="How often each case runs. [default: 5]")
    parser.add_argument("--suites", default="", help="Of build and boot: Debian's, with commas. [all]")
    parser.add_argument("--remark", default="", help="What else there is to say of the machine.")
    parser.add_argument("--docs", action="store_true", help="Measure nothing, write the documentation only.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"Of: {', '.join(PARTS)}. [default: all]")
    given = parser.parse_args()
    suites = tuple(given.suites.split(",")) if given.suites else peers.SUITES
    if not set(suites) <= set(peers.SUITES):
        parser.error(f"suites are {', '.join(peers.SUITES)}")
    if given.rounds < 1 or not set(given.parts) <= set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}, and there is one round at least")
    for part in () if given.docs else given.parts or PARTS:
        run = importlib.import_module(f"bench.{part}").run
        result = dict(run(given.rounds, suites) if part in OF_SUITES else run(given.rounds))
        result["machine"] += f"; {given.remark}" if given.remark else ""
        frame.say(f"written: {frame.save(part, result)}")
    for path in docs.write():
        frame.say(f"written: {path}")


if __name__ == "__main__":
    main()
