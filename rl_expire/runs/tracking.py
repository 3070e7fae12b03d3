"""Log runs to Weights & Biases, on request; offline unless somebody is logged in."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from rl_expire.runs.atomic import atomic_write
from rl_expire.runs.json_file import nonfinite_to_none

RUN_ID = "wandb_id.txt"
"""File of a run folder that holds the run's id on wandb."""


class Tracker:
    """Log a run to wandb if `enabled`; otherwise do nothing.

    A run that is resumed continues the run of before on wandb: its id is in the run folder.

    Args:
        enabled: whether to log.
        folder: run folder; its name becomes the run's, and wandb writes its own files there.
        config: options of the run.
        group: group of runs to list this one in, unless WANDB_RUN_GROUP names another.
    """

    def __init__(self, enabled: bool, *, folder: Path, config: dict[str, Any], group: str):
        """Start a run on wandb, if enabled."""
        self._run = None
        if enabled:
            import wandb  # slow to import, and most runs do without

            self._run = wandb.init(
                project="rl_expire",
                group=os.environ.get("WANDB_RUN_GROUP") or group,
                name=folder.name,
                id=_run_id(folder),
                resume="allow",  # continue the run with this id, if there is one
                dir=folder,
                config=config,
                mode=wandb_mode(),
            )

    def log(self, metrics: dict[str, Any]) -> None:
        """Log the metrics of an update, with environment steps as the x-axis."""
        if self._run is not None:
            self._run.log(nonfinite_to_none(metrics), step=metrics["steps"])

    def log_results(self, results: dict[str, Any]) -> None:
        """Add the results of the evaluation to the run's summary."""
        if self._run is not None:
            self._run.summary.update(nonfinite_to_none(results))

    def finish(self, pictures: Sequence[Path] = ()) -> None:
        """Add pictures and close the run.

        Args:
            pictures: videos (mp4), pages (html) and figures (png), logged as `video/NAME`,
                `page/NAME` and `still/NAME`.
        """
        if self._run is None:
            return
        if pictures:
            self._run.log(dict(_media(path) for path in pictures))
        self._run.finish()


def _run_id(folder: Path) -> str:
    """Return the id of the run on wandb, a new one unless the run folder holds one.

    Raises:
        UnwritableError: the new id cannot be stored.
    """
    path = folder / RUN_ID
    if path.is_file() and path.stat().st_size <= 64:
        known = path.read_text(errors="replace").strip()
        if re.fullmatch(r"[A-Za-z0-9_-]+", known):
            return known
    new = uuid4().hex[:8]
    with atomic_write(path) as temporary:
        temporary.write_text(new + "\n")
    return new


def _media(path: Path) -> tuple[str, Any]:
    """Return the key of a picture and its wandb object."""
    import wandb

    if path.suffix == ".mp4":
        return f"video/{path.stem}", wandb.Video(str(path), format="mp4")
    if path.suffix == ".html":
        # Nothing is injected: the page allows no script but its own.
        return f"page/{path.stem}", wandb.Html(str(path), inject=False)
    return f"still/{path.stem}", wandb.Image(str(path))


def wandb_mode() -> Any:
    """Return WANDB_MODE if it is set, else `online` if somebody is logged in, else `offline`."""
    return os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")


def logged_in() -> bool:
    """Return whether wandb would find an account without asking for one."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"] == "online"
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
