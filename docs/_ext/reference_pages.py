"""Write one API page for each package when the site is built.

The pages hold nothing but `automodule` directives. The text comes from the docstrings, in which
single backticks mark code and everything else is plain text.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

LIBRARY = "rl_expire"
ROOMS = ("actions", "memory", "learning", "vector", "scoring", "runs", "retention")
PACKAGES = (LIBRARY, *(f"{LIBRARY}.{room}" for room in ROOMS), "agents", "envs")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LETTER = re.compile(r"(^ *|: )([A-Za-z])\.(?=\s|$)", re.MULTILINE)
"""A single letter that reStructuredText would take for the number of a list's item."""


def modules(package: str) -> list[str]:
    """Return the public modules of `package`, without those that have a page of their own."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    files = folder.glob("*.py") if package == LIBRARY else folder.rglob("*.py")
    paths = sorted(file.relative_to(folder).with_suffix("") for file in files)
    public = [path for path in paths if not any(part.startswith("_") for part in path.parts)]
    return [".".join((package, *path.parts)) for path in public]


def page(package: str) -> str:
    """Return the reStructuredText of the page about `package`."""
    parts = [_heading(package, "="), f".. automodule:: {package}\n   :no-members:\n"]
    for module in modules(package):
        parts += [
            _heading(module, "-"),
            f".. automodule:: {module}\n   :members:\n   :show-inheritance:\n",
        ]
    return "\n".join(parts)


def _heading(title: str, line: str) -> str:
    """Return `title` underlined with the character `line`."""
    return f"{title}\n{line * len(title)}\n"


def write_pages(app: Sphinx) -> None:
    """Write the pages and their index to `reference/`; leave those that have not changed."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    listed = "\n".join(f"   {package}" for package in PACKAGES)
    intro = "Generated from the docstrings of all public modules.\n"
    index = (
        f"{_heading('API reference', '=')}\n{intro}\n.. toctree::\n   :maxdepth: 2\n\n{listed}\n"
    )
    texts = {"index": index} | {package: page(package) for package in PACKAGES}
    for name, text in texts.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def escape_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn `code` into ``code`` and escape what reStructuredText would take for markup."""
    text = "\n".join(lines)
    parts = CODE.split(text)  # plain, backticks, code, plain, ...
    for at in range(0, len(parts), 3):
        parts[at] = re.sub(r"(?<!\\)([*|])", r"\\\1", parts[at])
        parts[at] = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", parts[at])
        parts[at] = LETTER.sub(r"\1\\\2.", parts[at])
    for at in range(1, len(parts), 3):
        parts[at] = f"``{parts[at + 1]}``"
        parts[at + 1] = ""
    lines[:] = "".join(parts).split("\n")
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # else Napoleon takes the words before a colon for the type


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; docstrings are escaped before Napoleon reads them."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)
    return {"parallel_read_safe": True}
