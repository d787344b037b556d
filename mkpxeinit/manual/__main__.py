"""`python -m mkpxeinit.manual OUTDIR`: writes man/ and completions/ there, for packages."""

import os
import sys
import time
from pathlib import Path

from mkpxeinit.build import source_date
from mkpxeinit.cli.completion import NAMES, SCRIPTS
from mkpxeinit.errors import MkpxeinitError, os_cause, printable
from mkpxeinit.image.output import replacing
from mkpxeinit.manual.pages import pages


def write(folder: Path) -> None:
    """Write all pages and completions below `folder`, which is made if it is missing.

    The pages' date is SOURCE_DATE_EPOCH, else today.
    """
    told = "SOURCE_DATE_EPOCH" in os.environ
    date = time.strftime("%Y-%m-%d", time.gmtime(source_date(os.environ) if told else None))
    files = {f"man/{name}": text for name, text in pages(date).items()}
    files |= {f"completions/{NAMES[shell]}": text for shell, text in SCRIPTS.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(text.encode())
            os.fchmod(file.fileno(), 0o644)


def main() -> None:
    """Write them to the folder that is named on the command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m mkpxeinit.manual OUTDIR\n")
        raise SystemExit(2)
    try:
        write(Path(sys.argv[1]))
    except MkpxeinitError as error:
        raise SystemExit(f"mkpxeinit.manual: {error}") from error
    except OSError as error:
        name = f"{printable(error.filename)}: " if error.filename else ""
        raise SystemExit(f"mkpxeinit.manual: {name}{os_cause(error)}") from error


if __name__ == "__main__":
    main()
