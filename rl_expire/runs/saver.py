"""Write metrics and checkpoints while training, without ending it when the disk is full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rl_expire.learning import ranks
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.atomic import UnwritableError
from rl_expire.runs.checkpoint import CheckpointError
from rl_expire.runs.earlier_versions import complete_trainer_state, rename_trainer_state
from rl_expire.runs.metrics import MetricsFile
from rl_expire.runs.rank_states import load_own, other_ranks
from rl_expire.runs.run_folder import RunFolder, RunFolderError


class Saver:
    """Save the metrics and the state of a trainer in its run folder; retry what fails.

    With many ranks each has a saver, and all of them save and resume at the same time; rank 0 alone
    reads and writes.

    Args:
        trainer: the trainer.
        folder: its run folder.
        warn: called with a line of text when something could not be written.

    Attributes:
        saved: number of updates of the last checkpoint; None before there is one.
        best: `Trainer.score` of the best checkpoint; None before there is one.
    """

    def __init__(self, trainer: Trainer[Any], folder: RunFolder, warn: Callable[[str], None]):
        """Create a saver that has not saved anything yet."""
        self.trainer, self.folder, self.warn = trainer, folder, warn
        self.metrics = MetricsFile(folder.metrics)
        self.saved: int | None = None
        self.best: tuple[int, float] | None = None

    def resume(self) -> float:
        """Restore the trainer from the last usable checkpoint, and cut `metrics.jsonl` to match.

        Returns:
            Seconds of training up to that checkpoint.

        Raises:
            CheckpointError: there is no usable checkpoint; nothing has changed.
            OSError: `metrics.jsonl` cannot be changed.
        """

        def restore(state: Any) -> dict[str, Any]:
            """Load a checkpoint into the trainer."""
            if not isinstance(state, dict) or type(state.get("seconds")) is not float:
                raise ValueError("it is not the checkpoint of a run")
            trainer = rename_trainer_state(state["trainer"])
            trainer = complete_trainer_state(trainer, self.trainer.agent.state_dict())
            load_own(self.trainer, trainer, state.get("others", []), self.warn)
            return state

        state = ranks.on_first(lambda: self.folder.checkpoints.load(restore))
        if ranks.rank() > 0:
            restore(state)
        best = state.get("best")
        self.best = (int(best[0]), float(best[1])) if best else None
        self.saved = self.trainer.updates
        ranks.on_first(lambda: self.metrics.truncate(self.trainer.steps))
        return state["seconds"]

    def report(self, metrics: dict[str, Any]) -> None:
        """Write a line of metrics, or keep it for the next call if the disk is full."""
        self.metrics.add(metrics)
        try:
            self.metrics.flush()
        except OSError as error:
            self.warn(
                f"{self.folder.metrics} cannot be written ({_reason(error)}): "
                f"{len(self.metrics.pending)} lines wait until there is space"
            )

    def save(self, seconds: float) -> bool:
        """Write a checkpoint, after the metrics up to it.

        Args:
            seconds: seconds of training so far.

        Returns:
            Whether it was written; if not, the existing checkpoints are kept.
        """
        updates, score = self.trainer.updates, self.trainer.score
        if self.saved == updates:
            return True
        is_best = score is not None and (self.best is None or score >= self.best)
        trainer = self.trainer.state_dict()
        state = {
            "trainer": trainer,
            "seconds": float(seconds),
            "best": list(score if is_best and score else self.best or ()),
            **other_ranks(trainer),
        }
        if not ranks.on_first(lambda: self._write(state, updates, is_best=is_best)):
            return False
        self.saved = updates
        self.best = score if is_best else self.best
        return True

    def _write(self, state: dict[str, Any], updates: int, *, is_best: bool) -> bool:
        """Write a checkpoint, after the metrics up to it; return whether it was written."""
        try:
            self.metrics.flush(sync=True)
            keep = self.trainer.train.keep_last
            self.folder.checkpoints.save(state, updates, keep=keep, best=is_best)
        except (OSError, UnwritableError, CheckpointError) as error:
            self.warn(
                f"no checkpoint could be written ({_reason(error)}); the last one is "
                f"{self._last()}; training continues, and will try again"
            )
            return False
        return True

    def finish(self, seconds: float) -> None:
        """Write the last checkpoint.

        Raises:
            RunFolderError: it cannot be written; the message says which one there is instead.
        """
        if not self.save(seconds):
            raise RunFolderError(
                f"the last checkpoint of {self.folder.path} could not be written: free some disk "
                f"space, then resume the run; its last checkpoint is {self._last()}"
            )

    def _last(self) -> str:
        """Return the last checkpoint in words."""
        return "none yet" if self.saved is None else f"that of update {self.saved:,}"


def _reason(error: OSError | UnwritableError | CheckpointError) -> str:
    """Return why something could not be written, in a few words."""
    if isinstance(error, UnwritableError):
        return error.reason
    return getattr(error, "strerror", None) or str(error)
