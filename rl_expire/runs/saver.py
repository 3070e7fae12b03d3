"""What a run writes while it trains, none of which may end it: a full disk is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rl_expire.runs.checkpoint import CheckpointError
from rl_expire.runs.metrics import MetricsFile
from rl_expire.runs.run_folder import RunFolder, RunFolderError
from rl_expire.learning.trainer import Trainer


class Saver:
    """Writes metrics and checkpoints of `trainer` into `folder`; what fails is tried again.

    Args:
        trainer: what is trained.
        folder: its run.
        warn: called with a line, where something could not be written.
    """

    def __init__(self, trainer: Trainer[Any], folder: RunFolder, warn: Callable[[str], None]):
        self.trainer, self.folder, self.warn = trainer, folder, warn
        self.metrics = MetricsFile(folder.metrics)
        self.saved: int | None = None
        """Updates of the last checkpoint; None before there is one."""
        self.best: tuple[int, float] | None = None
        """`Trainer.score` of the best one."""

    def resume(self) -> float:
        """Bring the trainer to where it was, and `metrics.jsonl` as well.

        Returns:
            Seconds that training had taken.

        Raises:
            CheckpointError: there is no checkpoint that fits; nothing was changed.
            OSError: `metrics.jsonl` cannot be changed.
        """

        def take(state: Any) -> Any:
            if not isinstance(state, dict) or type(state.get("seconds")) is not float:
                raise ValueError("it is not the checkpoint of a run")
            self.trainer.load_state_dict(state["trainer"])
            return state

        state = self.folder.checkpoints.load(take)
        best = state.get("best")
        self.best = (int(best[0]), float(best[1])) if best else None
        self.saved = self.trainer.updates
        self.metrics.cut(self.trainer.steps)
        return state["seconds"]

    def report(self, metrics: dict[str, Any]) -> None:
        """Write a line of metrics; where that fails it waits for the next."""
        self.metrics.add(metrics)
        try:
            self.metrics.flush()
        except OSError as error:
            self.warn(
                f"{self.folder.metrics} cannot be written ({_why(error)}): "
                f"{len(self.metrics.waiting)} lines wait until there is space"
            )

    def save(self, seconds: float) -> bool:
        """Write a checkpoint, after the metrics up to it.

        Args:
            seconds: that training has taken.

        Returns:
            Whether that went well; if not, the checkpoints there were are kept.
        """
        updates, score = self.trainer.updates, self.trainer.score
        if self.saved == updates:
            return True
        is_best = score is not None and (self.best is None or score >= self.best)
        state = {
            "trainer": self.trainer.state_dict(),
            "seconds": float(seconds),
            "best": list(score if is_best and score else self.best or ()),
        }
        try:
            self.metrics.flush(sync=True)
            keep = self.trainer.train.keep_last
            self.folder.checkpoints.save(state, updates, keep=keep, best=is_best)
        except (OSError, CheckpointError) as error:
            self.warn(f"{self._not_saved(error)}; training goes on, and tries again")
            return False
        self.saved = updates
        self.best = score if is_best else self.best
        return True

    def finish(self, seconds: float) -> None:
        """Write the last checkpoint.

        Raises:
            RunFolderError: it cannot be written; the message says what there is instead.
        """
        if not self.save(seconds):
            raise RunFolderError(
                f"the last checkpoint of {self.folder.path} could not be written: make space "
                f"there, then go on with --resume {self.folder.path}, from {self._kept()}"
            )

    def _not_saved(self, error: Exception) -> str:
        return f"no checkpoint could be written ({_why(error)}); there is {self._kept()}"

    def _kept(self) -> str:
        return "none yet" if self.saved is None else f"that of update {self.saved:,}"


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
