"""Helpers of several tests: agents, random rollouts and tiny environments."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor, nn

from agents import (
    AdaptiveSpanConfig,
    AgentConfig,
    CompressiveConfig,
    ExpireSpanConfig,
    ExpireTransformer,
    LSTMConfig,
    MemorylessConfig,
    TransformerXLConfig,
    make_agent,
)
from agents.transformer import TransformerMemory
from rl_expire.memory.slot_memory import SlotMemory
from rl_expire.types import (
    ActorOutput,
    Agent,
    AgentOutput,
    LayerView,
    M,
    Obs,
    Rollout,
    TimeStep,
    map_obs,
)

CPU = torch.device("cpu")
ACTIONS = spaces.Discrete(3)
VECTOR = spaces.Box(-5.0, 5.0, (4,), np.float32)
SPACES: dict[str, gym.Space] = {
    "vector": VECTOR,
    "tokens": spaces.MultiDiscrete([7, 7, 7]),
    "one token": spaces.Discrete(5),
    "minigrid": spaces.Box(0, 255, (3, 3, 3), np.uint8),
    "dict": spaces.Dict({"image": spaces.Box(0, 255, (3, 3, 3), np.uint8), "compass": VECTOR}),
}

SMALL = ExpireSpanConfig(width=16, heads=2, max_span=6.0, ramp=3.0)

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
    "adaptive-span": _other(AdaptiveSpanConfig(width=16, heads=2, max_span=6.0, ramp=3.0)),
    "adaptive-span, 2 layers": _other(
        AdaptiveSpanConfig(width=16, heads=2, layers=2, max_span=12.0, ramp=3.0, capacity=7)
    ),
    "compressive": _other(CompressiveConfig(width=16, heads=2, window=3, rate=2, compressed=2)),
    "compressive, 2 layers": _other(
        CompressiveConfig(width=16, heads=2, layers=2, window=2, rate=3, compressed=1)
    ),
    "lstm": _other(LSTMConfig(width=16)),
    "lstm, 2 layers, last obs, reconstruct": _other(
        LSTMConfig(width=16, layers=2, last_obs=True, reconstruct=1.0)
    ),
    "memoryless": _other(MemorylessConfig(width=16, heads=2)),
}
"""Makers of all agents, called as `AGENTS[name](observation_space)`."""


def sample_obs(space: gym.Space, shape: tuple[int, ...], rng: np.random.Generator) -> Obs:
    """Return random observations of `space` with leading dimensions `shape`."""
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
        cells = space.shape[-1] == 3 and max(space.shape) <= 32
        most = 4 if cells else 256
        return torch.as_tensor(rng.integers(0, most, (*shape, *space.shape), dtype=np.uint8))
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


class CountingEnv(gym.Env):
    """An environment that counts: its observation is (row, episode, step of the episode).

    Episode e of a row lasts `2 + (row + 2e) % 4` steps, and is truncated if e is odd. The reward is
    `100 * step + action`, for the step at which the action was chosen.
    """

    observation_space = spaces.Box(0.0, 1e6, (3,), np.float32)
    action_space = spaces.Discrete(5)

    def __init__(self, row: int):
        self.row, self.episode, self.count = row, -1, 0

    @staticmethod
    def length(row: int, episode: int) -> int:
        """Return the number of steps of an episode."""
        return 2 + (row + 2 * episode) % 4

    def _obs(self) -> np.ndarray:
        """Return the current observation."""
        return np.array([self.row, self.episode, self.count], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start the next episode."""
        self.episode, self.count = self.episode + 1, 0
        return self._obs(), {"relevant": True}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Increment the step."""
        reward = 100.0 * self.count + float(action)
        self.count += 1
        over = self.count >= self.length(self.row, self.episode)
        odd = self.episode % 2 == 1
        info = {
            "relevant": self.count % 3 == 0,
            "choice": self.count % 4 > 0,
            "success": float(odd),
            "length": self.count,
        }
        return self._obs(), reward, over and not odd, over and odd, info


class DictCountingEnv(CountingEnv):
    """The counting environment with dictionary observations."""

    observation_space = spaces.Dict(  # type: ignore[assignment]
        {"who": spaces.Box(0.0, 1e6, (2,), np.float32), "step": spaces.Discrete(100)}
    )

    def _obs(self) -> Any:
        """Return the current observation."""
        return {"who": np.array([self.row, self.episode], np.float32), "step": self.count}


def counting_envs(
    rows: int, mode: AutoresetMode, env: type[CountingEnv] = CountingEnv, **options: Any
) -> SyncVectorEnv:
    """Return a vector of `rows` counting environments."""
    makers = [lambda row=row: env(row) for row in range(rows)]
    return SyncVectorEnv(makers, autoreset_mode=mode, **options)


@dataclass
class CountingMemory:
    """The number of steps that each row has seen in its episode."""

    count: Tensor

    def select(self, rows: Tensor) -> CountingMemory:
        """Return a copy of some rows."""
        return CountingMemory(self.count[rows])

    def snapshot(self) -> CountingMemory:
        """Return a copy."""
        return CountingMemory(self.count.clone())

    @property
    def nbytes(self) -> int:
        """A made-up size of 64 bytes per row."""
        return 64 * len(self.count)

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy."""
        return {"count": self.count.clone()}

    def restored(self, state: dict[str, Tensor]) -> CountingMemory:
        """Return a memory made from a `state_dict`."""
        return CountingMemory(state["count"])


class CountingAgent(Agent[CountingMemory]):
    """An agent that counts in its memory what the environment counts in its observation.

    Its value is step + 100 * count + 10000 * episode, so that any misalignment shows. Its logits
    are (step, count, row, 0, 0) and its action (step + row) mod 5. With `held`, `view` shows one
    layer in which memories live for `held` steps.
    """

    def __init__(self, held: int = 0):
        super().__init__()
        self.held = held

    def initial_memory(self, batch_size: int) -> CountingMemory:
        """Return zeros."""
        return CountingMemory(torch.zeros(batch_size, dtype=torch.int64))

    def act(
        self, step: TimeStep, memory: CountingMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, CountingMemory]:
        """Return the output for `step`, and increment the count."""
        row, episode, count = self._read(step.obs)
        memory.count.masked_fill_(step.is_first, 0)
        value = count + 100 * memory.count + 10_000 * episode
        logits = torch.stack([count, memory.count.float(), row, 0 * row, 0 * row], -1)
        memory.count += 1
        return ActorOutput(((count + row) % 5).long(), logits, value), memory

    @staticmethod
    def _read(obs: Obs) -> tuple[Tensor, Tensor, Tensor]:
        """Return row, episode and step from observations."""
        if isinstance(obs, dict):
            return obs["who"][..., 0], obs["who"][..., 1], obs["step"].float()
        return obs[..., 0], obs[..., 1], obs[..., 2]

    def unroll(self, steps: TimeStep, memory: CountingMemory) -> AgentOutput:
        """Replay the steps by calling `act`."""
        logits, value, _ = act_over(self, steps, memory.snapshot())
        spans = torch.zeros(0, *value.shape)
        return AgentOutput(logits, value, torch.zeros(()), spans)

    def view(self, memory: CountingMemory) -> list[LayerView]:
        """Return a view of `min(count, held)` memories in each row, with span `held - 1 + row`."""
        if not self.held:
            return []
        age = torch.arange(self.held).expand(len(memory.count), -1)
        held = age < memory.count.unsqueeze(1)
        span = (self.held - 1.0 + torch.arange(len(memory.count))).unsqueeze(1).expand_as(age)
        mask = held.float()
        return [LayerView(age, span, held, mask, mask.unsqueeze(1), 0.0, memory.nbytes)]


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
