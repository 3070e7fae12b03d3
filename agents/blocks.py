"""What every agent has: the embedding of a step, and the policy and value heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.encoders import make_encoder
from agents.value_head import ValueHead
from rl_expire.types import ActorOutput, Obs, TimeStep


def num_actions(space: gym.Space) -> int:
    """Return A of a `Discrete` action space.

    Raises:
        ValueError: the space is not `Discrete`, or does not start at 0.
    """
    if not isinstance(space, spaces.Discrete) or space.start != 0:
        name = " ".join(str(space).split())
        raise ValueError(
            f"action space {name} is not supported: agents need a Discrete one that starts at 0; "
            "use a wrapper that makes it one"
        )
    return int(space.n)


def at_least(least: int, config: object, *names: str) -> None:
    """Check whole numbers of an agent's configuration.

    Raises:
        ValueError: one of them is below `least`; the message names its option.
    """
    for name in names:
        if getattr(config, name) < least:
            option = "--agent." + name.replace("_", "-")
            raise ValueError(f"{option} is {getattr(config, name)}: choose {least} or more")


@dataclass(frozen=True)
class LayersConfig:
    """What every agent has: layers of one width between embedding and heads."""

    width: int = 64
    """Width D of the states."""
    layers: int = 1
    """Layers, one on top of the other, each with a memory of its own."""
    feed_forward: int = 2
    """Hidden width of the feed-forward part, as a multiple of the width."""
    last_action: bool = True
    """Whether the agent is told its last action, in which it can leave itself notes."""
    last_obs: bool = False
    """Whether each state also holds the observation before: what led to what is then one memory."""
    reconstruct: float = 0.0
    """Weight of reading the observation back from the state, while learning: what tells one moment
    from another then fills the state, instead of what is the same everywhere."""

    name: ClassVar[str]
    """What the command line and `config.json` call the agent."""
    size_option: ClassVar[str | None]
    """The option that sets the size of its memory."""

    def __post_init__(self) -> None:
        at_least(1, self, "width", "layers", "feed_forward")
        if not 0 <= self.reconstruct < math.inf:
            raise ValueError(f"--agent.reconstruct is {self.reconstruct}: choose 0 or more")


class StepEmbedding(nn.Module):
    """Observation, last action and reward, and whether an episode begins, as one state `[..., D]`.

    Args:
        space: of the observations.
        actions: A.
        config: its `last_action` and `last_obs` say what else a state holds; without `last_action`
            every action looks alike.
    """

    def __init__(self, space: gym.Space, actions: int, config: LayersConfig):
        super().__init__()
        width = config.width
        self.encoder = make_encoder(space, width)
        self.last_action = config.last_action
        self.no_action = actions if config.last_action else 1
        self.action = nn.Embedding(self.no_action + 1, width)
        self.reward = nn.Linear(1, width, bias=False)
        self.before = nn.Linear(width, width, bias=False) if config.last_obs else None
        nn.init.normal_(self.action.weight, std=0.1)
        self.reconstruct = config.reconstruct
        self.reader = None
        if config.reconstruct:
            self.reader = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.encoder.outputs))

    def nothing_seen(self, rows: int) -> Tensor:
        """Return what `forward` is given as `seen` before the first step of all."""
        width = self.action.embedding_dim if self.before is not None else 0
        return self.reward.weight.new_zeros(rows, width)

    def forward(self, steps: TimeStep, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Embed steps `[T, B]`.

        Args:
            steps: one or more, in the order of time.
            seen: `[B, D]`, the encoded observation before the first; `[B, 0]` without `last_obs`.

        Returns:
            The states `[T, B, D]`, and the encoding of the last observation, `seen` of the next.
        """
        action = steps.last_action if self.last_action else torch.zeros_like(steps.last_action)
        action = action.masked_fill(steps.is_first, self.no_action)
        reward = steps.last_reward.masked_fill(steps.is_first, 0.0).unsqueeze(-1)
        obs = self.encoder(steps.obs)
        states = obs + self.action(action) + self.reward(reward)
        if self.before is None:
            return states, seen
        before = torch.cat([seen.unsqueeze(0), obs[:-1]])
        before = before.masked_fill(steps.is_first.unsqueeze(-1), 0.0)
        return states + self.before(before), obs[-1]

    def reconstruction_loss(self, states: Tensor, obs: Obs) -> Tensor:
        """Return how badly `states [T, B, D]` tell their own `obs [T, B]`, weighted, `[]`.

        An auxiliary loss, without which the Transformer-XL of Memory Gym stays behind a GRU
        (Pleines et al. 2025, JMLR 26:6, abstract). 0 without `reconstruct`, and where the embedding
        does not learn, as while forgetting: reading a large observation back is not free.
        """
        if self.reader is None or not states.requires_grad:
            return states.new_zeros(())
        return self.reconstruct * self.encoder.reconstruction_loss(self.reader(states), obs)

    def act(self, step: TimeStep, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one step `[B]`; as `forward`, without T."""
        states, seen = self(step.map(lambda x: x.unsqueeze(0)), seen)
        return states[0], seen


class FeedForward(nn.Module):
    """Pre-norm gated feed-forward part, SwiGLU (Shazeer 2020, equation 6).

    What to do is often a product of what is remembered and what is seen; a gate multiplies, where a
    plain layer would have to build the product out of kinks.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, state: Tensor) -> Tensor:
        """Return what is to be added to states `[..., D]`."""
        value, gate = self.up(self.norm(state)).chunk(2, dim=-1)
        return self.down(value * nn.functional.silu(gate))


class Heads(nn.Module):
    """Policy logits and state value from a state `[..., D]`."""

    def __init__(self, width: int, actions: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.policy = nn.Linear(width, actions)
        self.value = ValueHead(width)
        nn.init.orthogonal_(self.policy.weight, gain=0.01)
        nn.init.zeros_(self.policy.bias)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return `logits [..., A]` and `value [...]`."""
        normed = self.norm(state)
        return self.policy(normed), self.value(normed)

    def act(self, state: Tensor, *, greedy: bool) -> ActorOutput:
        """Sample an action from the policy, or take its most likely one."""
        logits, value = self(state)
        scores = logits if greedy else logits - torch.empty_like(logits).exponential_().log()
        return ActorOutput(scores.argmax(-1), logits, value)
