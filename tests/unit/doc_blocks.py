"""The files that a page of docs/ shows, so that tests build what the page says."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def files_in(page: str) -> dict[str, str]:
    """Return the text of each file in docs/`page`: a name in backticks, some words, a fenced block."""
    block = r"^`([\w.-]+)`[^\n]*:\n\n```\w*\n(.*?)^```"
    return dict(re.findall(block, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL))
