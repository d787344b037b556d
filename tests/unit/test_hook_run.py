"""`mkpxeinit hook run update --wait`: what happens in the tree while it works is not lost."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mkpxeinit.cli import hook_run
from mkpxeinit.hooks import transaction
from tests.unit.small import make_tree


def test_a_change_meanwhile_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_tree(tmp_path / "tree", {"var/lib/dpkg/status": ""})
    codes = [1, 0, 0]
    runs = []

    def run(*_: object, **__: object) -> int:
        runs.append((tree / "var/lib/dpkg/status").read_text())
        if len(runs) == 1:  # systemd does not hear of it: the service is running
            (tree / "var/lib/dpkg/status").write_text("configured")
        return codes[len(runs) - 1]

    monkeypatch.setattr(hook_run, "_run", run)
    monkeypatch.setattr(transaction, "QUIET", 0.0)
    words = ["--state", str(tmp_path / "state"), "update", "--sysroot", str(tree), "--wait"]
    done = CliRunner().invoke(hook_run.command, words, standalone_mode=False)
    assert (done.return_value, runs) == (0, ["", "configured"])
