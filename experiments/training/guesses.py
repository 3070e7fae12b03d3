"""Say what a run assumes about its environment without having been told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.encoders import describe_encoder
from experiments.training.experiment import Experiment
from rl_expire.learning.trainer import Trainer
from rl_expire.types import InfoKey
from rl_expire.vector.minigrid_success import ANY_REWARD
from rl_expire.vector.reading import LEFT_OUT


def guesses(options: Experiment, trainer: Trainer[Any]) -> Iterator[str]:
    """Yield a line for each observation and one for success: how it is read, or why it is not."""
    for key, reading in describe_encoder(trainer.agent).items():
        yield f"{_name(key)}: read as {reading}"
    for key, text in trainer.actor.metadata.get(LEFT_OUT, {}).items():
        yield f"{_name(key)}: not used, it is always {text!r}"
    yield f"success: {_success(options, trainer)}"


def _name(key: str | None) -> str:
    """Return what to call an observation; None is the key of one that is not a dict."""
    return "observation" if key is None else f"observation[{key!r}]"


def _success(options: Experiment, trainer: Trainer[Any]) -> str:
    """Return where the success of an episode comes from."""
    if options.level:  # a task of this project
        return f"from info[{options.measure!r}] on the last step"
    keys = f"info[{InfoKey.SUCCESS!r}] or info[{InfoKey.IS_SUCCESS!r}]"
    told = f"from {keys} on the last step"
    solved_return, threshold = options.env_config().solved_return, options.reward_threshold()
    if trainer.actor.tells_success:
        return told
    if solved_return is not None:
        reached = f"a return of at least {solved_return:g}"
        otherwise = "any reward" if solved_return == ANY_REWARD else reached
    elif threshold is not None:
        needed = threshold - (1 - options.learning.solved_at) * abs(threshold)
        otherwise = (
            f"success is unknown and the task is solved at a mean return of {needed:g} "
            f"(reward_threshold is {threshold:g})"
        )
    else:
        otherwise = "success is unknown and training uses its whole budget"
    return f"{told}; if neither is given, {otherwise}"
