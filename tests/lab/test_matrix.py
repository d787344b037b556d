"""What the boot tests write about how their machines ended."""

from pathlib import Path

import pytest

from tests.boot import matrix
from tests.boot.matrix import End

RUN = "[    3.250000] Run /init as init process"
OVER = "pxeinit: [9.75] handing over to /sbin/init"
CODE = "pxeinit: [7.25] PXE-INIT-lease-none: no DHCP answer on eth0"
OTHER = "pxeinit: [8.25] PXE-INIT-root-dns: no address"


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        ([], End("silence", None)),
        ([RUN], End("silence", None)),
        ([RUN, OVER], End("runs", 6.5)),
        ([RUN, CODE, OVER], End("runs", 6.5, ("PXE-INIT-lease-none",))),
        ([RUN, CODE], End("PXE-INIT-lease-none", 4.0)),
        ([RUN, CODE, CODE.replace("7.25", "9.99")], End("PXE-INIT-lease-none", 4.0)),
        ([RUN, CODE, OTHER], End("PXE-INIT-root-dns", 5.0, ("PXE-INIT-lease-none",))),
        (
            [RUN, OVER, "[   12.250000] Kernel panic - not syncing: Attempted to kill init!"],
            End("panic", 9.0),
        ),
        # "quiet" hides what comes first and last; the state file, as a test prints it, has both.
        (["phase.early=3.50", "handover=9.75"], End("runs", 6.2)),
        ([RUN, OVER, "phase.early=3.50", "handover=9.75"], End("runs", 6.5)),
    ],
)
def test_how_a_machine_ended(lines: list[str], end: End) -> None:
    assert matrix.read_end(lines) == end


def test_the_newest_row_of_each_test(tmp_path: Path) -> None:
    matrix.write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    matrix.note(tmp_path, "test_b.py", "test_two[a|b]", [[RUN, CODE], [RUN, OVER]], True)
    matrix.note(tmp_path, "test_a.py", "test_one", [[RUN]], False)
    matrix.note(tmp_path, "test_a.py", "test_one", [[RUN, CODE, OVER]], True)
    matrix.write(tmp_path)
    text = (tmp_path / "matrix.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| one", "| two"))]
    assert rows[0].startswith("| one | runs | 6.5 | PXE-INIT-lease-none | passed 20")
    assert rows[1].startswith("| two [a\\|b] | PXE-INIT-lease-none; runs | 4.0; 6.5 |  | passed 20")
    assert len(rows) == 2
    assert "FAILED" not in text
