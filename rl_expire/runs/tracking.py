"""Weights & Biases, if asked for; offline where nobody is logged in."""

from __future__ import annotations

import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_expire.runs.run_folder import finite


class Tracker:
    """Sends metrics to wandb when `enabled`, else does nothing."""

    def __init__(self, enabled: bool, *, folder: Path, config: dict[str, Any], group: str):
        self._run = None
        if enabled:
            import wandb  # slow to import, and most runs do without

            self._run = wandb.init(
                project="rl_expire",
                group=os.environ.get("WANDB_RUN_GROUP") or group,
                name=folder.name,
                dir=folder,
                config=config,
                mode=mode(),
            )

    def log(self, metrics: dict[str, Any]) -> None:
        """Log one update's metrics against its environment steps."""
        if self._run is not None:
            self._run.log(finite(metrics), step=metrics["steps"])

    def finish(self, results: dict[str, Any] | None, pictures: Sequence[Path] = ()) -> None:
        """Add the results and the pictures, and close the run.

        Args:
            results: what the training came to; None if it was stopped.
            pictures: videos (mp4), pages (html) and figures (png), which wandb shows as such, each
                by the name of its kind and file: `video/retention`, `page/retention`.
        """
        if self._run is None:
            return
        if results is not None:
            self._run.summary.update(finite(results))
        if pictures:
            self._run.log(dict(_media(path) for path in pictures))
        self._run.finish()


def _media(path: Path) -> tuple[str, Any]:
    """Return a picture's name and what wandb takes it as."""
    import wandb

    if path.suffix == ".mp4":
        return f"video/{path.stem}", wandb.Video(str(path), format="mp4")
    if path.suffix == ".html":
        # As it is: the page allows nothing from outside.
        return f"page/{path.stem}", wandb.Html(str(path), inject=False)
    return f"still/{path.stem}", wandb.Image(str(path))


def mode() -> Any:
    """Return wandb's mode: what WANDB_MODE says, else online where somebody is logged in."""
    return os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")


def logged_in() -> bool:
    """Whether wandb would find an account, without asking for one."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"] == "online"
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
