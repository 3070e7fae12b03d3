"""Seed, save and restore the global random number generators of Python, NumPy and Torch."""

from __future__ import annotations

import os
import random
import warnings
from typing import Any

import numpy as np
import torch

from rl_expire.validate import check_keys, check_layout, check_number

NUMPY_WORDS = 624
"""Words in the state of NumPy's generator, a Mersenne Twister."""


def seed_all(seed: int) -> None:
    """Seed the generators of Python, NumPy and Torch, on all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def make_deterministic(device: torch.device) -> None:
    """Use deterministic algorithms on `device` where there are any.

    A CPU is deterministic for a given number of threads. On a GPU some operations have no
    deterministic implementation; they run nevertheless.
    """
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        warnings.filterwarnings("ignore", ".*does not have a deterministic implementation.*")
        torch.use_deterministic_algorithms(True, warn_only=True)


def random_state() -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy and Torch, including all GPUs."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {
            "words": np.asarray(keys),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the states that `random_state` returned, except those of GPUs that are not here.

    Raises:
        ValueError: `state` is not such a state; nothing has changed.
    """
    before = random_state()
    try:
        _set(state)
    except (ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        _set(before)
        raise ValueError(f"random states: {error}") from error


def _set(state: dict[str, Any]) -> None:
    """Restore `state`; when this raises, it may have been restored in part."""
    check_keys(state, ("python", "numpy", "torch", "cuda"), "random")
    python, numpy, gpus = state["python"], state["numpy"], state["cuda"]
    check_keys(python, ("version", "words", "gauss"), "random/python")
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    check_keys(numpy, ("words", "position", "has_gauss", "cached"), "random/numpy")
    check_layout(numpy["words"], np.zeros(NUMPY_WORDS, np.uint32), "random/numpy/words")
    # NumPy does not check the position, and would read past the end of its array.
    position = check_number(numpy["position"], int, 0, NUMPY_WORDS, "random/numpy/position")
    rest = numpy["has_gauss"], numpy["cached"]
    np.random.set_state(("MT19937", numpy["words"], position, *rest))
    check_layout(state["torch"], torch.get_rng_state(), "random/torch")
    if not isinstance(gpus, list) or not all(isinstance(x, torch.Tensor) for x in gpus):
        raise ValueError("random/cuda is not a list of tensors")
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_initialized():
        for gpu in range(min(len(gpus), torch.cuda.device_count())):
            torch.cuda.set_rng_state(gpus[gpu], gpu)
