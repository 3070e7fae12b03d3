"""The training loop: update, report, save, until training is finished or interrupted."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from rl_expire.learning import ranks
from rl_expire.learning.trainer import Trainer
from rl_expire.types import M
from rl_expire.vector.faults import EnvFaultError

SAVE_INTERVAL = 60.0
"""Seconds after which a checkpoint is saved, however few updates there were."""


def train(
    trainer: Trainer[M],
    *,
    report: Callable[[dict[str, Any]], None],
    save: Callable[[], None],
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Update until the schedule ends or `stop` returns true.

    Nothing is saved while losses are not finite, because the weights may be bad.

    Args:
        trainer: the run to train.
        report: called with the metrics of each update.
        save: called every `checkpoint_every` updates, after `SAVE_INTERVAL` seconds, and at the
            end.
        stop: asked before each update, the only moment at which a checkpoint is complete. All
            ranks stop if it returns true on one of them.

    Returns:
        Whether training finished.

    Raises:
        EnvFaultError: an environment failed. If environments cannot be saved within an episode, the
            current state has been saved.
        NonFiniteLossError: see `Trainer.update`; the last checkpoint has good weights.
    """
    saved_at = monotonic()
    while not trainer.finished and not any(ranks.gather(stop())):
        try:
            report(trainer.update())
        except EnvFaultError:
            if not trainer.resumes_exactly and trainer.last_loss_finite:
                save()
            raise
        if not trainer.last_loss_finite:
            continue
        due = trainer.updates % trainer.train.checkpoint_every == 0
        if due or ranks.on_first(lambda: monotonic() - saved_at >= SAVE_INTERVAL):  # noqa: B023
            save()
            saved_at = monotonic()
    save()
    return trainer.finished
