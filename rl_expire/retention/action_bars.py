"""A policy as bars: one for each category of an action, and one for each continuous number."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rl_expire.actions import ActionDistribution, ActionLayout
from rl_expire.actions.layout import Leaf


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
    for leaf in layout.leaves:
        path = leaf.path or "action"
        categories += _category_names(path, leaf)
        numbers += [f"{path}{_index(leaf.space, n)}" for n in range(leaf.numbers)]
    return categories + numbers


def _category_names(path: str, leaf: Leaf) -> list[str]:
    """Return the names of a leaf's categories; none of a `Box`."""
    start = getattr(leaf.space, "start", 0)
    starts = np.broadcast_to(np.ravel(start), len(leaf.sizes))
    return [
        f"{path}{_index(leaf.space, n)} = {category + int(first)}"
        for n, (size, first) in enumerate(zip(leaf.sizes, starts, strict=True))
        for category in range(size)
    ]


def _index(leaf: gym.Space, n: int) -> str:
    """Return the index of the n-th number of a leaf, in brackets; empty if there is one only."""
    shape = leaf.shape or ()
    if int(np.prod(shape)) == 1:
        return ""
    return f"[{', '.join(str(i) for i in np.unravel_index(n, shape))}]"
