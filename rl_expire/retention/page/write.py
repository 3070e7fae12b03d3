"""The retention page: one HTML file in which an episode's memories can be looked through.

It needs no network, no server and no other file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from rl_expire.retention import canvas
from rl_expire.retention.page.data import Pictures, css, episode_data
from rl_expire.retention.trace import Trace
from rl_expire.runs.atomic import atomic_write

MOST_STEPS = 2000
"""Of longer episodes the page shows the last so many steps."""

MOST_BYTES = 4_900_000
"""Of the data of an episode; steps are left out until they fit."""

_COLOURS = ("RELEVANT", "OTHER", "DECIDES", "GOOD", "BAD", "GROUND", "PANEL", "FUTURE", "RULE",
            "FORGOTTEN", "DIM", "TEXT")  # fmt: skip
_SCRIPTS = ("episode.js", "charts.js", "heat.js", "words.js", "main.js")


def write_page(
    traces: Sequence[Trace],
    path: Path,
    *,
    most_steps: int = MOST_STEPS,
    most_bytes: int = MOST_BYTES,
) -> tuple[str, ...]:
    """Write the page of some episodes.

    Args:
        traces: the episodes.
        path: the HTML file, written whole or not at all.
        most_steps: of an episode that are shown: its last ones.
        most_bytes: of an episode's data: larger ones are shown from a later step on.

    Returns:
        What was left out, a sentence each; the page says so too.

    Raises:
        ValueError: there is nothing to show, or the file cannot be written.
    """
    if not traces:
        raise ValueError("--seeds is empty: give one or more")
    pictures = Pictures()
    episodes = [_fitting(trace, pictures, most_steps, most_bytes) for trace in traces]
    used = {key for episode in episodes for key in _picture_keys(episode)}
    data = {
        "pictures": {key: pictures.uris[key] for key in sorted(used)},
        "episodes": episodes,
    }
    with atomic_write(path, ".html") as temporary:
        temporary.write_text(_html(data), "utf-8")
    return tuple(f"seed {e['seed']}: {note}" for e in episodes for note in e["notes"])


def _fitting(trace: Trace, pictures: Pictures, most_steps: int, most_bytes: int) -> dict[str, Any]:
    """Return as many of the last steps as fit; at least one."""
    length = len(trace.steps)
    shown = min(length, most_steps)
    while True:
        episode = episode_data(trace, length - shown, pictures)
        size = len(_json(episode))
        size += sum(len(pictures.uris[key]) for key in _picture_keys(episode))
        if size <= most_bytes or shown == 1:
            return episode
        # Size grows at least as fast as the number of steps, so that this is soon enough.
        shown = max(1, min(shown - 1, shown * most_bytes // size))


def _picture_keys(episode: dict[str, Any]) -> set[str]:
    sights = [*episode["sights"].values(), episode["end"]]
    return {sight["picture"] for sight in sights if "picture" in sight}


def _json(data: Any) -> str:
    """Return JSON that a script element can hold: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _html(data: Any) -> str:
    """Fill the template; the data last, since they may contain anything."""
    palette = "".join(f"--{name.lower()}:{css(getattr(canvas, name))};" for name in _COLOURS)
    page = _template("page.html")
    for name, content in (
        ("palette", f":root{{{palette}}}"),
        ("style", _template("style.css")),
        ("script", "\n".join(_template(name) for name in _SCRIPTS)),
        ("data", _json(data)),
    ):
        page = page.replace("{{" + name + "}}", content, 1)
    return page


def _template(name: str) -> str:
    return files("rl_expire.retention.page").joinpath(name).read_text("utf-8")
