"""Scores of a trained agent: exactly N episodes, none favoured for being short."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from rl_expire.learning.rollout import Actor, Episode
from rl_expire.scoring.recall import Recall
from rl_expire.types import Agent, InfoKey, LayerView, M

MARKS = (InfoKey.RELEVANT, InfoKey.WITHDRAWN)
"""What environments may say of an observation: it is needed later, or it will be void."""


@dataclass(frozen=True)
class Score:
    """What N episodes showed.

    Attributes:
        episodes: the finished episodes.
        kept_per_layer: memories held, mean over all steps of those episodes; empty without memory.
        kept_at_end_per_layer: memories held at the last decision, mean over episodes.
        bytes_held: bytes of the memory's tensors for one environment, mean over steps.
        span_relevant: mean lifetime, in steps, given to observations marked relevant; NaN if none.
        span_other: mean lifetime given to the others.
        recall: share of the relevant observations held at decisions, of each layer, and last of all
            layers together; empty without memory, or where the environment marks none. See
            `rl_expire.scoring.recall`.
        precision: share of the old memories held at decisions that are relevant, likewise.
        withdrawn_held: share held at decisions of what has become void since, likewise.
        seconds_per_step: acting alone, for the whole batch.
    """

    episodes: list[Episode]
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
        """Share of the episodes that succeeded."""
        return float(np.mean([e.info.get(InfoKey.SUCCESS, np.nan) for e in self.episodes]))

    @property
    def return_mean(self) -> float:
        """Mean undiscounted return."""
        return float(np.mean([e.total_reward for e in self.episodes]))


def quotas(episodes: int, rows: int) -> np.ndarray:
    """Return `[B]`, how many episodes each environment is to play.

    A fixed number each: taking the first N to finish anywhere would favour short ones.
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
) -> Score:
    """Play exactly `episodes` episodes.

    Args:
        agent: the policy.
        envs: a vector environment that autoresets.
        episodes: N.
        seed: of the environments.
        greedy: take the most likely action; otherwise sample.
        device: where the agent lives.
        solved_return: as `Actor` takes it.

    Returns:
        The score over those episodes.
    """
    if episodes < 1:
        raise ValueError(f"--eval.episodes is {episodes}: choose 1 or more")
    actor = Actor(envs, agent, device, seed, solved_return)
    left = quotas(episodes, envs.num_envs)
    tally = _Tally()
    recalls = {mark: Recall(envs.num_envs) for mark in MARKS if mark in actor.info}
    done: list[Episode] = []
    while (left > 0).any():
        counted = (left > 0) & actor.playing()
        is_first = actor.step.is_first.cpu().numpy()
        decides = counted & actor.info_flag(InfoKey.DECISION, otherwise=False)
        marks = {mark: actor.info_flag(mark, otherwise=False) for mark in MARKS}
        output = actor.act(greedy=greedy)
        views = agent.view(actor.memory)
        for mark, recall in recalls.items():
            recall.add(views, is_first, marks[mark], decides)
        transition = actor.advance(output.action)
        ended = counted & (transition.terminated | transition.truncated) & ~transition.failed
        nbytes = actor.memory.nbytes / envs.num_envs
        tally.add(views, nbytes, counted, marks[InfoKey.RELEVANT], ended)
        done += [e for e in actor.take_episodes() if counted[e.row]]
        left -= ended
    return tally.score(done, recalls, actor.seconds["act"])


@dataclass
class _Tally:
    """Sums over the steps that count."""

    steps: int = 0
    batch_steps: int = 0
    ends: int = 0
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0))
    kept_at_end: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nbytes: float = 0.0
    span_sum: np.ndarray = field(default_factory=lambda: np.zeros(2))
    span_count: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(
        self,
        views: list[LayerView],
        nbytes: float,
        counted: np.ndarray,
        relevant: np.ndarray,
        ended: np.ndarray,
    ) -> None:
        """Take in one step of the batch: `counted`, `relevant`, `ended` are `[B]` bool."""
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
        spans = np.mean([_new_span(v) for v in views], axis=0)
        for n, chosen in enumerate((counted & relevant, counted & ~relevant)):
            self.span_sum[n] += spans[chosen].sum()
            self.span_count[n] += chosen.sum()

    def score(
        self, episodes: list[Episode], recalls: dict[str, Recall], act_seconds: float
    ) -> Score:
        """Turn the sums into means."""
        with np.errstate(invalid="ignore"):
            relevant, other = self.span_sum / self.span_count
        kept, void = (recalls.get(mark, Recall(0)) for mark in MARKS)
        return Score(
            episodes=episodes,
            kept_per_layer=(self.kept / self.steps).tolist(),
            kept_at_end_per_layer=(self.kept_at_end / max(1, self.ends)).tolist(),
            bytes_held=self.nbytes / self.batch_steps,
            span_relevant=float(relevant),
            span_other=float(other),
            recall=kept.recall,
            precision=kept.precision,
            withdrawn_held=void.recall,
            seconds_per_step=act_seconds / self.batch_steps,
        )


def _new_span(view: LayerView) -> np.ndarray:
    """Return `[B]`, the span given to the state just written."""
    newest = (view.age == 0) & view.held
    span = view.span.masked_fill(~newest, -torch.inf).max(1).values
    return span.cpu().numpy()
