"""Any action space as a flat tensor: categories first, then continuous numbers.

A `Discrete` action is one category, one of `MultiDiscrete` or `MultiBinary` a category for each
number, and a `Box` has continuous numbers. `Dict` and `Tuple` spaces, nested to any depth, are the
parts of all their leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

MOST_CATEGORIES = 100_000
"""Largest number of categories of all parts together."""


class UnsupportedSpaceError(ValueError):
    """An action space that agents cannot act in."""


@dataclass(frozen=True)
class Leaf:
    """One space of a nest of spaces.

    Attributes:
        path: its keys and indices in the nest, with dots in between; empty if it is all there is.
        space: it is neither a `Dict` nor a `Tuple`.
        sizes: number of categories of each of its parts; empty for a `Box`.
        numbers: continuous numbers; 0 unless it is a `Box`.
        bounded: whether it is a `Box` with finite bounds everywhere.
    """

    path: str
    space: gym.Space
    sizes: tuple[int, ...] = ()
    numbers: int = 0
    bounded: bool = False


class ActionLayout:
    """Converts actions between tensors and the structure of a space.

    An action is a tensor `[...]` int64 of one category for a `Discrete` space, and `[..., M + K]`
    float32 for all others: M categories, which are whole numbers from 0 on, then K continuous
    numbers. Where a `Box` is bounded, a continuous number u stands for the action
    low + (high - low) (1 + tanh u) / 2.

    Args:
        space: action space of one environment.

    Attributes:
        sizes: number of categories of each of the M parts.
        numbers: K.
        bounded: `[K]` bool, whether each number is squashed.
        plain: whether the space is `Discrete`.

    Raises:
        UnsupportedSpaceError: the space is none of these; the message is one line.
    """

    def __init__(self, space: gym.Space):
        """Look at every leaf of `space`."""
        self.space = space
        self.leaves = [_leaf(path, leaf, space) for path, leaf in _leaves(space)]
        self.sizes = [size for leaf in self.leaves for size in leaf.sizes]
        self.numbers = sum(leaf.numbers for leaf in self.leaves)
        self.plain = isinstance(space, spaces.Discrete)
        if not all(leaf.sizes or leaf.numbers for leaf in self.leaves):
            raise _unsupported(space, "it has no actions, or a part without any: remove that")
        if sum(self.sizes) > MOST_CATEGORIES:
            raise _unsupported(space, f"it has more than {MOST_CATEGORIES:,} categories")
        bounded = [leaf.bounded for leaf in self.leaves for _ in range(leaf.numbers)]
        self.bounded = torch.tensor(bounded, dtype=torch.bool)
        self._starts = torch.tensor([0, *self.sizes]).cumsum(0)[:-1]  # of the parts' categories

    def first(self, rows: int, device: torch.device | None = None) -> Tensor:
        """Return an action `[B]` or `[B, M + K]` to stand before the first one of an episode."""
        if self.plain:
            return torch.zeros(rows, dtype=torch.int64, device=device)
        return torch.zeros(rows, len(self.sizes) + self.numbers, device=device)

    def indices(self, action: Tensor) -> Tensor:
        """Return the chosen categories `[..., M]` int64, numbered over all parts, from 0 to C."""
        return action[..., : len(self.sizes)].long() + self._starts.to(action.device)

    def squashed(self, action: Tensor) -> Tensor:
        """Return the continuous numbers `[..., K]`, those with bounds in [-1, 1]."""
        numbers = action[..., len(self.sizes) :]
        return torch.where(self.bounded.to(action.device), numbers.tanh(), numbers)

    def to_env(self, action: Tensor) -> Any:
        """Return a batch of actions in the structure that a vector environment's `step` takes.

        Args:
            action: `[B]` or `[B, M + K]`.
        """
        actions = self.leaf_actions(action.detach())
        arrays = [
            x.cpu().numpy().astype(leaf.space.dtype, copy=False)
            for x, leaf in zip(actions, self.leaves, strict=True)
        ]
        return _rebuilt(self.space, iter(arrays))

    def leaf_actions(self, action: Tensor) -> list[Tensor]:
        """Return the actions `[B, ...]` in each leaf of the space: int64, or float64 for a `Box`.

        Args:
            action: `[B]` or `[B, M + K]`.
        """
        if self.plain:
            return [action + int(getattr(self.space, "start", 0))]
        taken, category, number = [], 0, len(self.sizes)
        for leaf in self.leaves:
            if leaf.numbers:
                taken.append(
                    _numbers(leaf.space, leaf.bounded, action[:, number : number + leaf.numbers])
                )
            else:
                taken.append(
                    _categories(leaf.space, action[:, category : category + len(leaf.sizes)])
                )
            category, number = category + len(leaf.sizes), number + leaf.numbers
        return taken

    def to_one_env(self, action: Tensor) -> Any:
        """Return the action of a batch of one, in the structure of the space itself."""
        return _first_row(self.space, self.to_env(action))


def _leaves(space: gym.Space, path: str = "") -> Iterator[tuple[str, gym.Space]]:
    """Yield the spaces in a nest of `Dict` and `Tuple` spaces with their paths, in order."""
    if isinstance(space, spaces.Dict):
        parts: list[tuple[Any, gym.Space]] = list(space.spaces.items())
    elif isinstance(space, spaces.Tuple):
        parts = list(enumerate(space.spaces))
    else:
        yield path, space
        return
    if not parts:
        raise _unsupported(space, "it has no actions: remove it, or give it some")
    for name, part in parts:
        yield from _leaves(part, f"{path}.{name}" if path else str(name))


def _leaf(path: str, space: gym.Space, whole: gym.Space) -> Leaf:
    """Return what `space` consists of; `whole` is named in an error."""
    if isinstance(space, spaces.Discrete):
        return Leaf(path, space, (int(space.n),))
    if isinstance(space, spaces.MultiDiscrete):
        return Leaf(path, space, tuple(int(n) for n in space.nvec.flatten()))
    if isinstance(space, spaces.MultiBinary):
        return Leaf(path, space, (2,) * int(np.prod(space.shape)))
    if not isinstance(space, spaces.Box):
        raise _unsupported(
            whole,
            f"agents act in Discrete, MultiDiscrete, MultiBinary and Box spaces, and in Dict and "
            f"Tuple of these, not in {type(space).__name__}",
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise _unsupported(whole, "a Box of whole numbers is not continuous: use MultiDiscrete")
    below, above = np.isfinite(space.low), np.isfinite(space.high)
    bounded = bool((below & above).all())
    if not bounded and (below | above).any():
        raise _unsupported(whole, "a Box needs finite bounds everywhere, or nowhere")
    if (space.low >= space.high).any():
        raise _unsupported(whole, "a Box leaves no choice where low equals high")
    return Leaf(path, space, numbers=int(np.prod(space.shape)), bounded=bounded)


def _categories(space: gym.Space, columns: Tensor) -> Tensor:
    """Return the actions `[B, ...]` of a leaf of categories from its `columns [B, M]`."""
    categories = columns.long().unflatten(1, space.shape) if space.shape else columns.long()[:, 0]
    start = getattr(space, "start", 0)
    return categories + torch.as_tensor(start, device=columns.device)


def _numbers(space: gym.Space, bounded: bool, columns: Tensor) -> Tensor:
    """Return the actions `[B, ...]` of a `Box` from its `columns [B, K]`."""
    assert isinstance(space, spaces.Box)
    low, high = (
        torch.as_tensor(x, dtype=torch.float64).to(columns.device) for x in (space.low, space.high)
    )
    actions = columns.double().reshape(-1, *space.shape)
    if bounded:
        actions = low + (high - low) * (1 + actions.tanh()) / 2
    return actions.clamp(low, high)


def _rebuilt(space: gym.Space, parts: Iterator[Any]) -> Any:
    """Return the nest that `space` describes, with the `parts` as its leaves."""
    if isinstance(space, spaces.Dict):
        return {name: _rebuilt(part, parts) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_rebuilt(part, parts) for part in space.spaces)
    return next(parts)


def _first_row(space: gym.Space, batch: Any) -> Any:
    """Return the first action of a batch."""
    if isinstance(space, spaces.Dict):
        return {name: _first_row(part, batch[name]) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_first_row(part, b) for part, b in zip(space.spaces, batch, strict=True))
    return int(batch[0]) if isinstance(space, spaces.Discrete) else np.asarray(batch[0])


def _unsupported(space: gym.Space, reason: str) -> UnsupportedSpaceError:
    """Return an error of one line."""
    name = " ".join(str(space).split())
    name = name if len(name) <= 200 else name[:197] + "..."
    return UnsupportedSpaceError(f"action space {name} is not supported: {reason}")
