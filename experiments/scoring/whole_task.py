"""Score a trained agent over its whole task: the same numbers for every task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from experiments.scoring.measures import MEASURES, Scores
from experiments.scoring.results_table import warn_of_cut
from rl_expire.scoring.evaluation import MAX_STEPS, Score, evaluate, quotas
from rl_expire.types import Agent, M
from rl_expire.validate import check_range
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, find_spec, is_native, make_envs

EVAL_SEED = 1_000_000
"""Seed of evaluations, far from the seeds of training."""


@dataclass(frozen=True)
class EvalConfig:
    """The evaluation after training."""

    episodes: int = 1000
    """Episodes of each evaluation, exactly."""
    num_envs: int = 125
    """Environments stepped together."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "episodes", "num_envs", least=1)


def evaluate_all(
    agent: Agent[M],
    env_id: str,
    options: dict[str, Any],
    level: Sequence[str],
    config: EvalConfig,
    device: torch.device,
    env_config: EnvConfig,
) -> dict[str, Any]:
    """Score `agent` over the whole task and at its hardest level, greedy and sampled.

    Args:
        agent: the trained agent.
        env_id: id of the environment.
        options: its keyword arguments.
        level: the options that set its difficulty, such as `max_length` and `min_length`; none for
            a task of one level, whose hardest level is the whole task.
        config: how many episodes.
        device: where the agent lives.
        env_config: how environments are made.

    Returns:
        The value of every measure, by its key in `results.json`.
    """
    hardest = at_hardest(options, level)
    rows = min(config.num_envs, config.episodes)
    max_steps = max(MAX_STEPS, find_spec(env_id).max_episode_steps or 0)

    def score(task: dict[str, Any]) -> tuple[Score, Score]:
        """Return the scores of greedy and of sampled actions."""
        with closing_envs(make_envs(env_id, rows, task, env_config)) as envs:
            greedy, sampled = (
                evaluate(
                    agent,
                    envs,
                    config.episodes,
                    seed=EVAL_SEED,
                    greedy=greedy,
                    device=device,
                    solved_return=env_config.solved_return,
                    max_steps=max_steps,
                )
                for greedy in (True, False)
            )
        warn_of_cut(greedy)
        warn_of_cut(sampled)
        return greedy, sampled

    def ceiling_of(task: dict[str, Any]) -> float:
        """Return the mean return of perfect memory; only native environments may know it."""
        if not is_native(env_id, env_config):
            return math.nan
        with closing_envs(make_envs(env_id, 1, task, env_config)) as envs:
            return expected_return(envs)

    whole, sampled = score(options)
    longest, longest_sampled = score(hardest) if level else (whole, sampled)
    ceiling = ceiling_of(options)
    ceiling_hardest = ceiling_of(hardest) if level else ceiling
    scores = Scores(
        whole=whole,
        hardest=longest,
        sampled=sampled,
        hardest_sampled=longest_sampled,
        ceiling=ceiling,
        ceiling_hardest=ceiling_hardest,
        oracle_return=oracle_return(env_id, options, config, env_config),
    )
    return {measure.key: measure.value(scores) for measure in MEASURES}


def expected_return(envs: VectorEnv) -> float:
    """Return the mean return of perfect memory in `envs`; NaN if they do not tell it."""
    known = getattr(envs.unwrapped, "expected_return", None)
    return known() if known is not None else math.nan


def at_level(options: dict[str, Any], level: Sequence[str], value: int) -> dict[str, Any]:
    """Return the environment's options with its difficulty, `level`, fixed at `value`."""
    return options | dict.fromkeys(level, value)


def at_hardest(options: dict[str, Any], level: Sequence[str]) -> dict[str, Any]:
    """Return the environment's options with its difficulty, if it has one, at its highest."""
    return at_level(options, level, options[level[0]]) if level else options


def oracle_return(
    env_id: str, options: dict[str, Any], config: EvalConfig, env_config: EnvConfig
) -> float:
    """Return the mean return of the environment's scripted oracle; NaN if it has none.

    Only native environments can have one.
    """
    if not is_native(env_id, env_config):
        return math.nan
    rows = min(config.num_envs, config.episodes)
    with closing_envs(make_envs(env_id, rows, options, env_config)) as envs:
        make_oracle = getattr(envs.unwrapped, "oracle", None)
        return math.nan if make_oracle is None else _played(envs, make_oracle(), config.episodes)


def _played(envs: VectorEnv, oracle: Any, episodes: int) -> float:
    """Play `episodes` episodes with the oracle; return the mean return."""
    obs, _ = envs.reset(seed=EVAL_SEED)
    rows = envs.num_envs
    left, returns, running = quotas(episodes, rows), [], np.zeros(rows)
    is_first = np.ones(rows, bool)
    while (left > 0).any():
        obs, reward, terminated, truncated, _ = envs.step(oracle.act(obs, is_first))
        is_first = terminated | truncated
        running += reward
        returns += running[is_first & (left > 0)].tolist()
        left -= is_first & (left > 0)
        running[is_first] = 0.0
    return float(np.mean(returns))
