"""What an optimiser has gathered, parameter by parameter; its options come from elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rl_expire.validate import check_fit

GATHERED: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
}
NEVER_NEGATIVE = ("step", "exp_avg_sq")


def optimizer_state(optimizer: torch.optim.Optimizer) -> list[dict[str, Tensor]]:
    """Return copies of what was gathered for each parameter, in order; empty where nothing was."""
    state = []
    for parameter in _parameters(optimizer):
        gathered = optimizer.state.get(parameter, {})
        state.append({name: t.clone() for name, t in gathered.items() if t is not None})
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Any, name: str) -> None:
    """Put `state` in the place of what `optimizer` has gathered.

    Raises:
        ValueError: it does not fit the parameters; nothing was changed.
    """
    parameters = _parameters(optimizer)
    if not isinstance(state, list) or len(state) != len(parameters):
        raise ValueError(f"{name} is not a list of {len(parameters)}")
    keys = GATHERED[type(optimizer)]
    for n, (parameter, gathered) in enumerate(zip(parameters, state, strict=True)):
        if gathered != {}:
            like = {key: torch.tensor(0.0) if key == "step" else parameter for key in keys}
            check_fit(gathered, like, f"{name}/{n}")
        for key in set(keys) & set(gathered) & set(NEVER_NEGATIVE):
            if bool((gathered[key] < 0).any()):
                raise ValueError(f"{name}/{n}/{key} is negative")
    optimizer.load_state_dict(
        {
            "state": {
                n: {key: value.clone() for key, value in gathered.items()}
                for n, gathered in enumerate(state)
                if gathered
            },
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]
