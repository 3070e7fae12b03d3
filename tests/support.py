"""Helpers of several tests: agents, random rollouts and tiny environments."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents import (
    AdaptiveSpanConfig,
    AgentConfig,
    CompressiveConfig,
    ExpireSpanConfig,
    ExpireTransformer,
    GRUConfig,
    LSTMConfig,
    MemorylessConfig,
    TransformerXLConfig,
    make_agent,
)
from agents.transformer import TransformerMemory
from rl_expire.memory.slot_memory import SlotMemory
from rl_expire.types import (
    Agent,
    M,
    Obs,
    Rollout,
    TimeStep,
    map_obs,
)
from rl_expire.vector.cells import as_cells
from rl_expire.vector.nest import flat_space

CPU = torch.device("cpu")
ACTIONS = spaces.Discrete(3)
VECTOR = spaces.Box(-5.0, 5.0, (4,), np.float32)
CELLS = as_cells(spaces.Box(0, 255, (3, 3, 3), np.uint8))
SPACES: dict[str, gym.Space] = {
    "vector": VECTOR,
    "tokens": spaces.MultiDiscrete([7, 7, 7]),
    "one token": spaces.Discrete(5),
    "minigrid": CELLS,
    "dict": spaces.Dict({"image": CELLS, "compass": VECTOR}),
}

SPANS: dict[str, Any] = {"max_span": 6.0, "initial_fraction": 0.5, "ramp": 3.0}
SMALL = ExpireSpanConfig(width=16, heads=2, **SPANS)

Make = Callable[..., Any]
N = TypeVar("N", bound=nn.Module)


def expire_agent(
    space: gym.Space = VECTOR, config: ExpireSpanConfig = SMALL, seed: int = 0, **options: Any
) -> ExpireTransformer:
    """Return an Expire-Span agent with noise on all weights, so that spans differ by state."""
    torch.manual_seed(seed)
    return stirred(ExpireTransformer(space, ACTIONS, replace(config, **options)))


def stirred(agent: N) -> N:
    """Add noise to all weights of `agent`, so that each of them affects the output."""
    with torch.no_grad():
        for p in agent.parameters():
            p.add_(0.3 * torch.randn_like(p))
    if isinstance(agent, Agent):
        agent.update_reward_stats(torch.ones(1))  # before a reward, the last one has no effect
    return agent


def _expire(**fixed: Any) -> Make:
    """Return a maker of Expire-Span agents with the options `fixed`."""
    return lambda space=VECTOR, **options: expire_agent(space, **(fixed | options))


def _other(config: AgentConfig) -> Make:
    """Return a maker of agents with the options `config`."""
    return lambda space=VECTOR: stirred(make_agent(space, ACTIONS, config))


AGENTS: dict[str, Make] = {
    "expire-span": _expire(),
    "expire-span, 3 layers, linear, last obs, reconstruct": _expire(
        layers=3, fade="linear", last_obs=True, reconstruct=1.0
    ),
    "transformer-xl": _other(TransformerXLConfig(width=16, heads=2, window=5)),
    "transformer-xl, 3 layers": _other(TransformerXLConfig(width=16, heads=2, layers=3, window=4)),
    "adaptive-span": _other(AdaptiveSpanConfig(width=16, heads=2, **SPANS)),
    "adaptive-span, 2 layers": _other(
        AdaptiveSpanConfig(
            width=16, heads=2, layers=2, max_span=12.0, initial_fraction=0.5, ramp=3.0, capacity=7
        )
    ),
    "compressive": _other(CompressiveConfig(width=16, heads=2, window=3, rate=2, compressed=2)),
    "compressive, 2 layers": _other(
        CompressiveConfig(width=16, heads=2, layers=2, window=2, rate=3, compressed=1)
    ),
    "lstm": _other(LSTMConfig(width=16)),
    "lstm, 2 layers, last obs, reconstruct": _other(
        LSTMConfig(width=16, layers=2, last_obs=True, reconstruct=1.0)
    ),
    "gru": _other(GRUConfig(width=16)),
    "gru, 2 layers, last obs, reconstruct": _other(
        GRUConfig(width=16, layers=2, last_obs=True, reconstruct=1.0)
    ),
    "memoryless": _other(MemorylessConfig(width=16, heads=2)),
}
"""Makers of all agents, called as `AGENTS[name](observation_space)`."""


def sample_obs(space: gym.Space, shape: tuple[int, ...], rng: np.random.Generator) -> Obs:
    """Return random observations of `space` with leading dimensions `shape`."""
    space = flat_space(space)
    if isinstance(space, spaces.Dict):
        return {name: cast(Tensor, sample_obs(s, shape, rng)) for name, s in space.items()}
    if isinstance(space, spaces.Discrete):
        return torch.as_tensor(rng.integers(0, int(space.n), shape) + int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        tokens = rng.integers(0, space.nvec, (*shape, *space.nvec.shape))
        return torch.as_tensor(tokens + space.start)
    if isinstance(space, spaces.MultiBinary):
        return torch.as_tensor(rng.integers(0, 2, (*shape, *space.shape), dtype=np.int8))
    assert isinstance(space, spaces.Box)
    if space.dtype == np.uint8:
        beyond = space.high.astype(np.int64) + 1
        return torch.as_tensor(rng.integers(0, beyond, (*shape, *space.shape)).astype(np.uint8))
    return torch.as_tensor(rng.normal(size=(*shape, *space.shape)).astype(space.dtype))


def random_steps(
    length: int,
    rows: int,
    *,
    space: gym.Space = VECTOR,
    seed: int = 0,
    first: list[tuple[int, int]] | None = None,
) -> TimeStep:
    """Return random steps `[T, B]` in which episodes start only at the `(t, row)` of `first`."""
    rng = np.random.default_rng(seed)
    is_first = torch.zeros(length, rows, dtype=torch.bool)
    for t, row in first or []:
        is_first[t, row] = True
    return TimeStep(
        sample_obs(space, (length, rows), rng),
        is_first,
        torch.as_tensor(rng.integers(0, 3, (length, rows))),
        torch.as_tensor(rng.normal(size=(length, rows)).astype(np.float32)),
    )


def act_over(agent: Agent[M], steps: TimeStep, memory: M) -> tuple[Tensor, Tensor, M]:
    """Call `act` T times; return logits `[T, B, A]`, values `[T, B]` and the memory afterwards."""
    outputs = []
    for t in range(len(steps.is_first)):
        output, memory = agent.act(steps.map(lambda x, t=t: x[t]), memory)
        outputs.append(output)
    logits, value = zip(*((o.logits, o.value) for o in outputs), strict=True)
    return torch.stack(logits), torch.stack(value), memory


def made_up_rollout(
    length: int, rows: int, memory: M, *, seed: int = 0, ends: float = 0.2, first: bool = True
) -> Rollout[M]:
    """Return a rollout with random observations, rewards, values, episode ends and logits."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> Tensor:
        """Return normally distributed numbers."""
        return torch.as_tensor(rng.normal(size=shape).astype(np.float32))

    def coin(p: float) -> Tensor:
        """Return `[T, B]` bool, true with probability `p`."""
        return torch.as_tensor(rng.random((length, rows)) < p)

    terminated = coin(ends)
    truncated = coin(ends) & ~terminated
    started = [(0, row) for row in range(rows)] if first else []
    steps = random_steps(length + 1, rows, seed=seed, first=started)
    steps.is_first[1:] |= terminated | truncated
    return Rollout(
        steps=steps,
        action=torch.as_tensor(rng.integers(0, 3, (length, rows))),
        reward=noise(length, rows),
        terminated=terminated,
        truncated=truncated,
        final_value=noise(length, rows) * truncated,
        bootstrap_value=noise(rows),
        logits=noise(length, rows, 3),
        value=noise(length, rows),
        valid=torch.ones(length, rows, dtype=torch.bool),
        choice=torch.ones(length, rows, dtype=torch.bool),
        relevant=coin(0.3),
        pace=torch.ones(rows),
        memory=memory,
    )


def slots_of(memory: TransformerMemory) -> SlotMemory:
    """Return the slots of the first layer."""
    return memory.layers[0]


def copy_of(agent: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the agent's current weights."""
    return {name: value.clone() for name, value in agent.state_dict().items()}


def set_spans(agent: ExpireTransformer, bias: float) -> None:
    """Give every state the same span, L * sigmoid(bias)."""
    with torch.no_grad():
        for name, p in agent.named_parameters():
            if "lifetime" in name:
                p.fill_(bias if name.endswith("bias") else 0.0)


def rows_of(obs: Obs, t: int) -> Obs:
    """Return the observations of step t."""
    return map_obs(lambda x: x[t], obs)


def same_tree(found: Any, expected: Any, where: str = "") -> None:
    """Assert that trees of dicts, lists, tensors, arrays and numbers are equal bit by bit."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            same_tree(found[key], expected[key], f"{where}/{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for n, (one, other) in enumerate(zip(found, expected, strict=True)):
            same_tree(one, other, f"{where}/{n}")
    elif isinstance(expected, Tensor | np.ndarray):
        one, other = torch.as_tensor(found), torch.as_tensor(expected)
        assert type(found) is type(expected), where
        assert (one.dtype, one.shape) == (other.dtype, other.shape), where
        assert one.numpy().tobytes() == other.numpy().tobytes(), where
    else:
        assert found == expected or (found != found and expected != expected), where


def full(*_: Any, **__: Any) -> Any:
    """Raise the error of a full disk; replaces any function that writes."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullFile:
    """A file that stores only half of a text because the disk is full."""

    def __init__(self, file: Any):
        """Wrap an open file."""
        self.file = file

    def __enter__(self) -> FullFile:
        """Return itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Close the file."""
        self.file.close()

    def tell(self) -> int:
        """Return the position in the file."""
        return self.file.tell()

    def write(self, text: str) -> None:
        """Write half of `text`, then raise."""
        self.file.write(text[: len(text) // 2])
        self.file.flush()
        full()
