"""Evaluate an agent over exactly N episodes, without favouring short ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from rl_expire.learning.actor import Actor
from rl_expire.learning.episode import Episode, success_rate
from rl_expire.memory.horizon import log_lifetimes
from rl_expire.scoring.recall import RecallMeter
from rl_expire.types import Agent, InfoKey, LayerView, M

MAX_STEPS = 10_000
"""Steps after which an episode is cut off by default: without a time limit, a greedy policy that
stands still would play for ever."""
COMPACT_EVERY = 256
"""Steps after which the agent's memory is compacted: one environment in which more is held for a
while makes the memory of all of them larger."""
MARKS = (InfoKey.RELEVANT, InfoKey.WITHDRAWN)
"""Info keys that mark observations: needed later, and withdrawn later."""


@dataclass(frozen=True)
class Score:
    """The result of an evaluation.

    The lists per layer are empty for an agent without memories to view. Recall and precision are
    those of `RecallMeter`, one number per layer and a last one for all layers together; the lists
    are empty if the environment marks no observation.

    Attributes:
        episodes: the episodes, in the order in which they finished.
        cut: how many of them were cut off at `max_steps`, and count as failures.
        kept_per_layer: memories held, averaged over all steps of all episodes.
        kept_at_end_per_layer: memories held at the last step, averaged over episodes.
        bytes_held: size of one environment's memory tensors in bytes, averaged over steps.
        span_relevant: typical lifetime in steps of relevant observations, the geometric mean;
            NaN without any.
        span_other: typical lifetime in steps of all other observations; NaN without any.
        recall: share of the relevant observations that are held at decisions.
        precision: share of the memories held at decisions that are relevant.
        withdrawn_held: share of the withdrawn observations that are held at decisions.
        seconds_per_step: seconds that the agent takes to act on one step of the whole batch.
    """

    episodes: list[Episode]
    cut: int
    kept_per_layer: list[float]
    kept_at_end_per_layer: list[float]
    bytes_held: float
    span_relevant: float
    span_other: float
    recall: list[float]
    precision: list[float]
    withdrawn_held: list[float]
    seconds_per_step: float

    @property
    def success(self) -> float:
        """Share of successful episodes; NaN if the environment does not report success."""
        return success_rate([e.info.get(InfoKey.SUCCESS, math.nan) for e in self.episodes])

    @property
    def return_mean(self) -> float:
        """Mean undiscounted return."""
        return float(np.mean([e.total_reward for e in self.episodes]))


def quotas(episodes: int, rows: int) -> np.ndarray:
    """Return how many episodes each environment plays, `[B]`; they differ by at most one.

    The numbers are fixed in advance, since the first N episodes to finish would be short ones.

    Args:
        episodes: total number of episodes.
        rows: number of environments, B.
    """
    return np.full(rows, episodes // rows) + (np.arange(rows) < episodes % rows)


@torch.no_grad()
def evaluate(
    agent: Agent[M],
    envs: VectorEnv,
    episodes: int,
    *,
    seed: int,
    greedy: bool,
    device: torch.device,
    solved_return: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Score:
    """Play exactly `episodes` episodes.

    An episode is cut off after `max_steps` steps, unless the environments have an attribute
    `always_ends` that is true. Its environment goes on when the others have finished, since only
    all of them together can be reset.

    Args:
        agent: the policy.
        envs: a vector environment that autoresets.
        episodes: number of episodes.
        seed: seed of the environments.
        greedy: whether to take the most likely action instead of sampling one.
        device: the agent's device.
        solved_return: return from which an episode counts as a success, if the environment does
            not report success itself.
        max_steps: longest episode.

    Returns:
        The score over those episodes.

    Raises:
        ValueError: `episodes` or `max_steps` is below 1.
    """
    for name, value in (("episodes", episodes), ("max_steps", max_steps)):
        if value < 1:
            raise ValueError(f"{name} is {value}: choose 1 or more")
    limit = math.inf if getattr(envs.unwrapped, "always_ends", False) else max_steps
    actor = Actor(envs, agent, device, seed, solved_return)
    left = quotas(episodes, envs.num_envs)
    totals = _Totals()
    meters = {mark: RecallMeter(envs.num_envs) for mark in MARKS if mark in actor.flags}
    finished: list[Episode] = []
    stuck = np.zeros(envs.num_envs, bool)
    while (left > 0).any():
        if not ((left > 0) & ~stuck).any():
            actor.restart()
            stuck[:] = False
        counted = (left > 0) & ~stuck & actor.playing()
        is_first = actor.step.is_first.cpu().numpy()
        decides = counted & actor.flag(InfoKey.DECISION)
        marks = {mark: actor.flag(mark) for mark in MARKS}
        output = actor.act(greedy=greedy)
        views = agent.view(actor.memory)
        for mark, meter in meters.items():
            meter.add(views, is_first, marks[mark], decides)
        transition = actor.advance(output.action)
        ended = counted & (transition.terminated | transition.truncated) & ~transition.failed
        cut = counted & (actor.episode_steps >= limit)
        nbytes = actor.memory.nbytes / envs.num_envs
        totals.add(views, nbytes, counted, marks[InfoKey.RELEVANT], ended | cut)
        totals.cut += int(cut.sum())
        finished += [e for e in actor.take_episodes() if counted[e.row]]
        finished += [actor.unfinished(int(row)) for row in np.flatnonzero(cut)]
        left -= ended | cut
        stuck |= cut
        if totals.batch_steps % COMPACT_EVERY == 0:
            actor.memory = agent.refresh(actor.memory)
    return totals.score(finished, meters, actor.seconds["act"])


@dataclass
class _Totals:
    """Sums over the steps that count; all arrays but the last two have one entry per layer.

    Attributes:
        steps: steps of all environments.
        batch_steps: steps of the batch.
        ends: last steps of episodes.
        cut: episodes that were cut off.
        kept: memories held, over `steps`.
        kept_at_end: memories held, over `ends`.
        nbytes: bytes per environment, over `batch_steps`.
        length_sum: logarithms of the lifetimes of relevant and of other observations, `[2]`.
        span_count: number of relevant and of other observations, `[2]`.
    """

    steps: int = 0
    batch_steps: int = 0
    ends: int = 0
    cut: int = 0
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0))
    kept_at_end: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nbytes: float = 0.0
    length_sum: np.ndarray = field(default_factory=lambda: np.zeros(2))
    span_count: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(
        self,
        views: list[LayerView],
        nbytes: float,
        counted: np.ndarray,
        relevant: np.ndarray,
        ended: np.ndarray,
    ) -> None:
        """Add one step of the batch.

        Args:
            views: the agent's memory, one view per layer.
            nbytes: size of one environment's memory.
            counted: `[B]` bool, environments whose step counts.
            relevant: `[B]` bool, environments whose observation is relevant.
            ended: `[B]` bool, environments whose episode ends with this step.
        """
        self.batch_steps += 1
        self.nbytes += nbytes
        self.steps += int(counted.sum())
        self.ends += int(ended.sum())
        if not views:
            return
        held = np.stack([v.held.sum(1).cpu().numpy() for v in views])
        if not self.kept.size:
            self.kept, self.kept_at_end = np.zeros(len(views)), np.zeros(len(views))
        self.kept += held[:, counted].sum(1)
        self.kept_at_end += held[:, ended].sum(1)
        lengths = np.mean([_newest_length(v) for v in views], axis=0)
        for n, selected in enumerate((counted & relevant, counted & ~relevant)):
            self.length_sum[n] += lengths[selected].sum()
            self.span_count[n] += selected.sum()

    def score(
        self, episodes: list[Episode], meters: dict[str, RecallMeter], act_seconds: float
    ) -> Score:
        """Return the means."""
        with np.errstate(invalid="ignore"):
            relevant, other = np.exp(self.length_sum / self.span_count)
        needed, withdrawn = (meters.get(mark, RecallMeter(0)) for mark in MARKS)
        return Score(
            episodes=episodes,
            cut=self.cut,
            kept_per_layer=(self.kept / self.steps).tolist(),
            kept_at_end_per_layer=(self.kept_at_end / max(1, self.ends)).tolist(),
            bytes_held=self.nbytes / self.batch_steps,
            span_relevant=float(relevant),
            span_other=float(other),
            recall=needed.recall,
            precision=needed.precision,
            withdrawn_held=withdrawn.recall,
            seconds_per_step=act_seconds / self.batch_steps,
        )


def _newest_length(view: LayerView) -> np.ndarray:
    """Return the logarithm of the lifetime of the state just written, `[B]`."""
    newest = (view.age == 0) & view.held
    span = view.span.masked_fill(~newest, -torch.inf).max(1).values
    return log_lifetimes(span).cpu().numpy()
