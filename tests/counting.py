"""An environment and an agent that count, in which any misalignment of a rollout shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.types import ActorOutput, Agent, AgentOutput, LayerView, Obs, TimeStep
from tests.support import act_over


class CountingEnv(gym.Env):
    """An environment that counts: its observation is (row, episode, step of the episode).

    Episode e of a row lasts `2 + (row + 2e) % 4` steps, and is truncated if e is odd. The reward is
    `100 * step + action`, for the step at which the action was chosen.
    """

    observation_space = spaces.Box(0.0, 1e6, (3,), np.float32)
    action_space = spaces.Discrete(5)

    def __init__(self, row: int):
        """Start before the first episode of `row`."""
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
        return self._obs(), {"rl_expire.relevant": True}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Increment the step."""
        reward = 100.0 * self.count + float(action)
        self.count += 1
        over = self.count >= self.length(self.row, self.episode)
        odd = self.episode % 2 == 1
        info = {
            "rl_expire.relevant": self.count % 3 == 0,
            "rl_expire.choice": self.count % 4 > 0,
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


class ObjectFinalObs(VectorWrapper):
    """Returns final observations as an object array, as older versions of Gymnasium do."""

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            final = np.empty(self.num_envs, dtype=object)
            for row in np.flatnonzero(terminated | truncated):
                last = info["final_obs"]
                final[row] = (
                    {name: last[name][row] for name in ("who", "step")}
                    if isinstance(last, dict)
                    else last[row]
                )
            info["final_obs"] = final
        return obs, reward, terminated, truncated, info


class ReusedArrays(VectorWrapper):
    """Returns all arrays of a step in the same memory as those of the step before."""

    def __init__(self, envs: VectorEnv):
        """Wrap environments."""
        super().__init__(envs)
        self.kept: tuple[np.ndarray, ...] = ()

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments."""
        *arrays, info = self.env.step(actions)
        arrays[1] = arrays[1].astype(np.float32)
        if not self.kept:
            self.kept = tuple(np.array(array) for array in arrays)
        for kept, new in zip(self.kept, arrays, strict=True):
            kept[...] = new
        return *self.kept, info  # type: ignore[return-value]


class ReusedObs(CountingEnv):
    """Returns the same array from every reset and step."""

    def __init__(self, row: int):
        """Start before the first episode of `row`."""
        super().__init__(row)
        self.kept = super()._obs()

    def _obs(self) -> np.ndarray:
        """Return the current observation."""
        self.kept[:] = super()._obs()
        return self.kept


class ReusedDict(DictCountingEnv):
    """Returns the same dict from every reset and step."""

    def __init__(self, row: int):
        """Start before the first episode of `row`."""
        super().__init__(row)
        self.kept = super()._obs()

    def _obs(self) -> Any:
        """Return the current observation."""
        new = super()._obs()
        self.kept["who"][:] = new["who"]
        self.kept["step"] = new["step"]
        return self.kept


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

    @staticmethod
    def from_state(state: dict[str, Tensor]) -> CountingMemory:
        """Return a memory made of a `state_dict`."""
        return CountingMemory(state["count"])

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
        """Set the number of steps that memories live for in `view`."""
        super().__init__()
        self.held = held
        self.actions = ActionDistribution(gym.spaces.Discrete(5))

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
        return [LayerView(age, span, held, mask, mask.unsqueeze(1), memory.nbytes)]
