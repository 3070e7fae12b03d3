"""The device and the CPU threads that Torch computes with."""

from __future__ import annotations

import torch

from experiments.command_line.errors import at_least


def device_of(name: str) -> torch.device:
    """Return the device called `name`; `auto` is a GPU where there is one.

    Raises:
        ValueError: it is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"--device {name} is not available: choose cpu or auto")
    return torch.device(name)


def use_threads(threads: int) -> None:
    """Let Torch use `threads` CPU threads; 0: one per core.

    Raises:
        ValueError: `threads` is below 0.
    """
    at_least(0, threads=threads)
    if threads:
        torch.set_num_threads(threads)
