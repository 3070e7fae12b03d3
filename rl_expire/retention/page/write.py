"""Write the memory page: one HTML file for exploring an agent's memory step by step.

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

MAX_STEPS = 2000
"""Of longer episodes, the page shows only this many steps, the last ones."""

MAX_BYTES = 4_900_000
"""Maximum size of an episode's data; earlier steps are left out until it fits."""

_COLOURS = ("RELEVANT", "OTHER", "DECISION", "GOOD", "BAD", "GROUND", "PANEL", "FUTURE", "RULE",
            "FORGOTTEN", "DIM", "TEXT")  # fmt: skip
_SCRIPTS = ("dom.js", "format.js", "episode.js", "charts.js", "heat.js", "world.js", "card.js",
            "kept.js", "main.js")  # fmt: skip


def write_page(
    traces: Sequence[Trace],
    path: Path,
    *,
    max_steps: int = MAX_STEPS,
    max_bytes: int = MAX_BYTES,
) -> tuple[str, ...]:
    """Write the page of some episodes.

    Args:
        traces: The episodes.
        path: The HTML file, written atomically.
        max_steps: Maximum steps of an episode; of longer ones, only the last steps are shown.
        max_bytes: Maximum size of an episode's data; of larger ones, only the last steps are shown.

    Returns:
        What was left out, a sentence each; the page displays them too.

    Raises:
        ValueError: `traces` is empty, or the file cannot be written.
    """
    if not traces:
        raise ValueError("traces is empty: give one or more")
    pictures = Pictures()
    episodes = [_fit_episode(trace, pictures, max_steps, max_bytes) for trace in traces]
    used = {key for episode in episodes for key in _picture_keys(episode)}
    data = {
        "pictures": {key: pictures.uris[key] for key in sorted(used)},
        "episodes": episodes,
    }
    with atomic_write(path, ".html") as temporary:
        temporary.write_text(_html(data), "utf-8")
    return tuple(f"seed {e['seed']}: {note}" for e in episodes for note in e["notes"])


def _fit_episode(
    trace: Trace, pictures: Pictures, max_steps: int, max_bytes: int
) -> dict[str, Any]:
    """Return the data of as many of the last steps as fit, at least one."""
    length = len(trace.steps)
    shown = min(length, max_steps)
    while True:
        episode = episode_data(trace, length - shown, pictures)
        size = len(_json(episode))
        size += sum(len(pictures.uris[key]) for key in _picture_keys(episode))
        if size <= max_bytes or shown == 1:
            return episode
        # Size grows at least in proportion to the steps, so this takes few iterations.
        shown = max(1, min(shown - 1, shown * max_bytes // size))


def _picture_keys(episode: dict[str, Any]) -> set[str]:
    """Return the keys of the pictures that an episode shows."""
    shown = [*episode["observations"].values(), episode["end"]]
    return {observation["picture"] for observation in shown if "picture" in observation}


def _json(data: Any) -> str:
    """Return JSON for a script element, without anything that could end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _html(data: Any) -> str:
    """Fill in the template; the data come last, since they may contain placeholders."""
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
    """Return a file of this package."""
    return files("rl_expire.retention.page").joinpath(name).read_text("utf-8")
