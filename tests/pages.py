"""README and documentation as the tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SAVED = re.compile(r"Saved as `(\w+\.py)`")


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of `page` in one of these languages."""
    found = FENCE.finditer(page.read_text())
    return [match[3] for match in found if match[2] in languages]


def saved_as(page: Path) -> str | None:
    """Return the file that the page says to save its first example as; None if it says nothing."""
    found = SAVED.search(page.read_text())
    return found[1] if found else None
