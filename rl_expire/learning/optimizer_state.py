"""Save and load per-parameter optimizer state; the optimizer's options are not part of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rl_expire.validate import check_fit

STATE_KEYS: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
}
NON_NEGATIVE = ("step", "exp_avg_sq")


def optimizer_state(optimizer: torch.optim.Optimizer) -> list[dict[str, Tensor]]:
    """Return copies of the state of each parameter, in order; empty before its first step."""
    states = []
    for parameter in _parameters(optimizer):
        state = optimizer.state.get(parameter, {})
        states.append({name: t.clone() for name, t in state.items() if t is not None})
    return states


def load_optimizer_state(optimizer: torch.optim.Optimizer, states: Any, name: str) -> None:
    """Load the state of each parameter, as `optimizer_state` returned it.

    Args:
        optimizer: an Adam or SGD optimizer.
        states: the states.
        name: what to call them in an error message.

    Raises:
        ValueError: they do not fit the parameters; nothing has changed.
    """
    parameters = _parameters(optimizer)
    if not isinstance(states, list) or len(states) != len(parameters):
        raise ValueError(f"{name} is not a list of length {len(parameters)}")
    keys = STATE_KEYS[type(optimizer)]
    for n, (parameter, state) in enumerate(zip(parameters, states, strict=True)):
        if state != {}:
            expected = {key: torch.tensor(0.0) if key == "step" else parameter for key in keys}
            check_fit(state, expected, f"{name}/{n}")
        for key in set(keys) & set(state) & set(NON_NEGATIVE):
            if bool((state[key] < 0).any()):
                raise ValueError(f"{name}/{n}/{key} is negative")
    optimizer.load_state_dict(
        {
            "state": {
                n: {key: value.clone() for key, value in state.items()}
                for n, state in enumerate(states)
                if state
            },
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return the parameters of all groups, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]
