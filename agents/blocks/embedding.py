"""Embedding of a step: observation, last action and last reward."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks.config import LayersConfig
from agents.blocks.distinct import distinct
from agents.blocks.reward_scale import RewardScale
from agents.encoders import make_encoder
from rl_expire.actions import ActionDistribution
from rl_expire.types import Obs, TimeStep, map_obs

MOST_RECONSTRUCTED = 256
"""Most states of a minibatch that are reconstructed: a random sample costs a fraction of the time,
and states are alike."""


class StepEmbedding(nn.Module):
    """Embed observation, last action, last reward and the start of an episode as one state.

    Args:
        space: observation space.
        actions: the policy's distribution over actions.
        config: its `last_action` and `last_obs` select the inputs; without `last_action`, all
            actions share one embedding.
    """

    def __init__(self, space: gym.Space, actions: ActionDistribution, config: LayersConfig):
        """Create the weights for the selected inputs."""
        super().__init__()
        width = config.width
        self.encoder = make_encoder(space, width)
        self.layout = actions.layout
        self.last_action = config.last_action
        self.no_action = actions.categories if config.last_action else 1
        self.action = nn.Embedding(self.no_action + 1, width)
        numbers = actions.layout.numbers if config.last_action else 0
        self.numbers = nn.Linear(numbers, width, bias=False) if numbers else None
        self.reward = nn.Linear(1, width, bias=False)
        self.reward_scale = RewardScale()
        self.before = nn.Linear(width, width, bias=False) if config.last_obs else None
        nn.init.normal_(self.action.weight, std=0.1)
        self.reconstruct = config.reconstruct
        self.reader = None
        if config.reconstruct:
            self.reader = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, self.encoder.target_size)
            )

    def initial_seen(self, rows: int) -> Tensor:
        """Return the `seen` to pass to `forward` before the very first step."""
        width = self.action.embedding_dim if self.before is not None else 0
        return self.reward.weight.new_zeros(rows, width)

    def forward(self, steps: TimeStep, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Embed consecutive steps `[T, B]`.

        Args:
            steps: T steps of B environments.
            seen: `[B, D]`, the encoded observation before the first step; `[B, 0]` without
                `last_obs`.

        Returns:
            The states `[T, B, D]`, and the encoded last observation: `seen` for the next call.
        """
        reward = self.reward_scale(steps.last_reward)
        reward = reward.masked_fill(steps.is_first, 0.0).unsqueeze(-1)
        obs = self._encoded(steps.obs).view(*steps.is_first.shape, -1)
        states = obs + self._embedded_action(steps) + self.reward(reward)
        if self.before is None:
            return states, seen
        before = torch.cat([seen.unsqueeze(0), obs[:-1]])
        before = before.masked_fill(steps.is_first.unsqueeze(-1), 0.0)
        return states + self.before(before), obs[-1]

    def _embedded_action(self, steps: TimeStep) -> Tensor:
        """Return `[T, B, D]`, an embedding of the last actions or of the start of an episode."""
        if not self.last_action:
            return self.action(steps.is_first.long())
        if self.layout.plain:
            return self.action(steps.last_action.masked_fill(steps.is_first, self.no_action))
        embedded = self.action(self.layout.indices(steps.last_action)).sum(-2)
        if self.numbers is not None:
            embedded = embedded + self.numbers(self.layout.squashed(steps.last_action))
        start = self.action.weight[self.no_action]
        return torch.where(steps.is_first.unsqueeze(-1), start, embedded)

    def _encoded(self, obs: Obs) -> Tensor:
        """Return the codes `[T * B, D]` of observations `[T, B]`; equal ones are encoded once."""
        flat = map_obs(lambda x: x.flatten(0, 1), obs)
        if (alike := distinct(flat)) is None:
            return self.encoder(flat)
        codes = self.encoder(map_obs(lambda x: x[alike.rows], flat))
        return codes.index_select(0, alike.index)

    def act(self, step: TimeStep, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one step `[B]` as a state `[B, D]`; otherwise the same as `forward`."""
        states, seen = self(step.map(lambda x: x.unsqueeze(0)), seen)
        return states[0], seen

    def loss_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the reconstruction loss, which acting does not use."""
        return [] if self.reader is None else list(self.reader.parameters())

    def reconstruction_loss(self, states: Tensor, obs: Obs) -> Tensor:
        """Return the weighted loss `[]` of reconstructing `obs [T, B]` from `states [T, B, D]`.

        Without this auxiliary loss, the Transformer-XL of Memory Gym falls behind a GRU (Pleines et
        al. 2025, JMLR 26:6, abstract). The loss is 0 without `reconstruct`, and where the states
        carry no gradient, such as while learning to forget: reconstructing large observations is
        expensive. Of more than `MOST_RECONSTRUCTED` states, a random sample is reconstructed. (One
        of each kind would be cheaper, but unsettled the LSTM: what is rare would count as much as
        what is seen all the time.)
        """
        if self.reader is None or not states.requires_grad:
            return states.new_zeros(())
        states, obs = states.flatten(0, 1), map_obs(lambda x: x.flatten(0, 1), obs)
        if len(states) > MOST_RECONSTRUCTED:
            sample = torch.randint(len(states), (MOST_RECONSTRUCTED,), device=states.device)
            states, obs = states[sample], map_obs(lambda x: x[sample], obs)
        return self.reconstruct * self.encoder.reconstruction_loss(self.reader(states), obs)
