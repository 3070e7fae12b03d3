"""Weights & Biases, if asked for; offline where nobody is logged in."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from typing import Any

from rl_expire.run_folder import finite


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
                mode="online" if logged_in() else "offline",
            )

    def log(self, metrics: dict[str, Any]) -> None:
        """Log one update's metrics against its environment steps."""
        if self._run is not None:
            self._run.log(finite(metrics), step=metrics["steps"])

    def finish(self, results: dict[str, Any] | None, video: Path | None) -> None:
        """Add the results and the video, and close the run."""
        if self._run is None:
            return
        import wandb

        if results is not None:
            self._run.summary.update(finite(results))
        if video is not None and video.exists():
            self._run.log({"retention": wandb.Video(str(video), format="mp4")})
        self._run.finish()


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
