"""Which observations of a batch are alike, so that each needs to be encoded only once.

Agents in grids, menus and texts see the same thing again and again: 4,096 steps of the Corridor
hold some 20 different views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from agents.encoders.base import in_parts
from rl_expire.types import Obs


@dataclass(frozen=True)
class Distinct:
    """The distinct ones among N observations.

    Attributes:
        rows: `[U]` int64, which of the N observations stand for all others.
        index: `[N]` int64, for each observation which of the U it equals.
    """

    rows: Tensor
    index: Tensor


def distinct(obs: Obs) -> Distinct | None:
    """Find the distinct ones among observations `[N, ...]`.

    Observations are compared by the sum of their values times random weights, in double precision:
    different ones agree about as often as two random numbers with 50 bits.

    Returns:
        None where there is nothing to gain: observations with fractions hardly ever repeat, and on
        a GPU, where encoding is cheap, the processor would have to wait to learn their number U;
        nor while exporting, as the size of a graph's tensors may not depend on their values.
    """
    if torch.compiler.is_exporting():
        return None
    parts = list(obs.values()) if isinstance(obs, dict) else [obs]
    if any(part.is_floating_point() or part.device.type != "cpu" for part in parts):
        return None
    sums = torch.stack([_weighted_sum(part, key) for key, part in enumerate(parts)]).sum(0)
    found, index = torch.unique(sums, return_inverse=True)
    rows = index.new_empty(len(found)).scatter_(0, index, torch.arange(len(index)))
    return Distinct(rows, index)


def _weighted_sum(values: Tensor, key: int) -> Tensor:
    """Return the weighted sums `[N]` of `values [N, ...]`."""
    flat = values.reshape(len(values), -1)
    weights = _weights(flat.shape[1], key)
    return torch.cat([part.double() @ weights for part in in_parts(flat)])


@lru_cache(maxsize=64)
def _weights(count: int, key: int) -> Tensor:
    """Return `count` random weights, always the same for a `key`."""
    return torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(key + 1))
