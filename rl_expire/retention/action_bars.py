"""A policy as bars: one for each category of an action, and one for each continuous number."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor

from rl_expire.actions import ActionDistribution, ActionLayout


def bars(actions: ActionDistribution, logits: Tensor) -> npt.NDArray[np.float32]:
    """Return the heights `[..., C + K]` of the bars of policies `logits [..., P]`, in [0, 1].

    The height of a category is its probability. A continuous number has that of the place of its
    mode between its bounds; without bounds, tanh of the mode takes its place.
    """
    shown = actions.probabilities(logits)
    if actions.layout.numbers:
        mode = actions.mode(logits)[..., len(actions.layout.sizes) :]
        shown = [*shown, (1 + mode.tanh()) / 2]
    return torch.cat(shown, -1).float().cpu().numpy()


def taken(layout: ActionLayout, action: Tensor) -> tuple[int, ...]:
    """Return the bars that an action belongs to: its categories, and all numbers."""
    if layout.plain:
        return (int(action),)
    first = sum(layout.sizes)
    return (*layout.indices(action).tolist(), *range(first, first + layout.numbers))


def change(
    layout: ActionLayout, one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return how much two policies differ, in [0, 1], by their bars `[..., C + K]`.

    It is the total variation distance of the categories' probabilities or the distance between
    places, of the part of the action where it is largest.
    """
    difference = np.abs(one - other)
    ends = np.cumsum(layout.sizes)
    parts = [part.sum(-1) / 2 for part in np.split(difference, ends, axis=-1)[:-1]]
    numbers = difference[..., sum(layout.sizes) :]
    return np.max([*parts, *np.moveaxis(numbers, -1, 0)], axis=0)


def bar_names(layout: ActionLayout) -> list[str]:
    """Return what each bar stands for, by its place in the space.

    Those of a `Discrete` space are `action 0`, `action 1`, ...
    """
    if layout.plain:
        return [f"action {n}" for n in range(layout.sizes[0])]
    categories, numbers = [], []
    for path, leaf in _paths(layout.space, ""):
        if isinstance(leaf, spaces.Box):
            numbers += [f"{path}{_index(leaf, n)}" for n in range(int(np.prod(leaf.shape)))]
        else:
            categories += _category_names(path, leaf)
    return categories + numbers


def _category_names(path: str, leaf: gym.Space) -> list[str]:
    """Return the names of a leaf's categories."""
    if isinstance(leaf, spaces.Discrete):
        return [f"{path} = {n + int(leaf.start)}" for n in range(int(leaf.n))]
    if isinstance(leaf, spaces.MultiDiscrete):
        sizes, starts = leaf.nvec.flatten(), leaf.start.flatten()
    else:
        sizes = np.full(int(np.prod(leaf.shape or ())), 2)
        starts = np.zeros_like(sizes)
    return [
        f"{path}{_index(leaf, n)} = {category + int(start)}"
        for n, (size, start) in enumerate(zip(sizes, starts, strict=True))
        for category in range(int(size))
    ]


def _index(leaf: gym.Space, n: int) -> str:
    """Return the index of the n-th number of a leaf, in brackets; empty if there is one only."""
    shape = leaf.shape or ()
    if int(np.prod(shape)) == 1:
        return ""
    return f"[{', '.join(str(i) for i in np.unravel_index(n, shape))}]"


def _paths(space: gym.Space, path: str) -> Iterator[tuple[str, gym.Space]]:
    """Yield the leaves of a nest of spaces with their paths, in order."""
    if isinstance(space, spaces.Dict):
        parts = list(space.spaces.items())
    elif isinstance(space, spaces.Tuple):
        parts = list(enumerate(space.spaces))
    else:
        yield path or "action", space
        return
    for name, part in parts:
        yield from _paths(part, f"{path}.{name}" if path else str(name))
