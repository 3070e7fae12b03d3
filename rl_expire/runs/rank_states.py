"""What each rank has for itself in a checkpoint: environments, memory and random numbers.

Everything else of a trainer's state is the same on all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl_expire.learning import ranks
from rl_expire.learning.random_state import random_state, seed_all
from rl_expire.learning.trainer import Trainer

OWN = ("actor", "random")
"""Keys of a trainer's state that each rank has for itself."""


def other_ranks(state: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a checkpoint for all ranks but rank 0; empty if there are none.

    Args:
        state: `Trainer.state_dict` of this rank. Every rank has to call this; rank 0 gets the
            entry.
    """
    others = ranks.gather_on_first({name: _on_cpu(state[name]) for name in OWN})[1:]
    return {"others": others} if others else {}


def load_own(
    trainer: Trainer[Any], state: Any, others: Any, warn: Callable[[str], None] = lambda _: None
) -> None:
    """Load this rank's part of a checkpoint into its trainer.

    A checkpoint of another number of ranks has no fitting parts. New episodes then begin on all
    ranks.

    Args:
        trainer: the trainer of this rank.
        state: state of the trainer of rank 0.
        others: the other ranks' parts, a list.
        warn: called with a line of text if new episodes begin.

    Raises:
        ValueError: the state does not fit; nothing has changed.
    """
    if not isinstance(others, list):
        raise ValueError("others is not a list")
    saved = 1 + len(others)
    if saved == ranks.size():
        trainer.load_state_dict(state | others[ranks.rank() - 1] if ranks.rank() > 0 else state)
        return
    if not isinstance(state, dict):
        raise ValueError("trainer is not a dict")
    fresh = {"actor": trainer.actor.state_dict(), "random": random_state()}
    trainer.load_state_dict(state | fresh | {"reward_delay": _nothing_waiting(trainer, state)})
    seed = (torch.initial_seed() + trainer.updates) % 2**32
    seed_all(seed)
    trainer.actor.restart(seed)
    warn(f"saved by {saved} processes, and continued by {ranks.size()}: new episodes begin")


def _nothing_waiting(trainer: Trainer[Any], state: dict[str, Any]) -> Any:
    """Return the state of the reward delay for as many environments, which begin new episodes."""
    delay = state.get("reward_delay")
    waited = np.zeros_like(trainer.reward_delay.state_dict()["waited"])
    return delay | {"waited": waited} if isinstance(delay, dict) else delay


def _on_cpu(tree: Any) -> Any:
    """Return nested dicts and lists with their tensors on the CPU."""
    if isinstance(tree, dict):
        return {name: _on_cpu(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_on_cpu(value) for value in tree]
    return tree.cpu() if isinstance(tree, Tensor) else tree
