"""Configuration of the documentation site.

Build it with `sphinx-build -W -b html docs docs/_build`. Nothing is fetched from the network.
"""

import importlib.metadata
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "rl_expire"
author = "the rl_expire contributors"
version = release = importlib.metadata.version("rl-expire")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "reference_pages",
    "option_tables",
]
exclude_patterns = ["_build", "reference/options.md", "models/*"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = "rl_expire"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def add_title(app: Sphinx, name: str, content: list[str]) -> None:
    """Give the tables that `rl-expire compare` writes a title."""
    folder, _, page = name.rpartition("/")
    if page == "table":
        task = folder.rpartition("/")[2].replace("-", " ").capitalize()
        content[0] = f"# {task}: the whole table\n\n{content[0]}"


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("source-read", add_title)
