"""The evaluation after training: the same numbers and keys for every experiment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from rich.console import Console
from rich.table import Table

from rl_expire.scoring.evaluation import Score, evaluate, quotas
from rl_expire.types import Agent, M
from rl_expire.vector.make import PLAIN, EnvConfig, make_envs

EVAL_SEED = 1_000_000
"""Far from the seeds of training."""


@dataclass(frozen=True)
class EvalConfig:
    """The evaluation after training."""

    episodes: int = 1000
    """Episodes of each evaluation, exactly."""
    num_envs: int = 125
    """Environments stepped together."""

    def __post_init__(self) -> None:
        for name in ("episodes", "num_envs"):
            if getattr(self, name) < 1:
                option = "--eval." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose 1 or more")


def evaluate_all(
    agent: Agent[M],
    env_id: str,
    options: dict[str, Any],
    level: Sequence[str],
    config: EvalConfig,
    device: torch.device,
    env_config: EnvConfig = PLAIN,
) -> dict[str, Any]:
    """Score `agent` over the whole task and at its hardest alone, greedy and sampled.

    Args:
        agent: the trained agent.
        env_id: the environment.
        options: its keyword arguments.
        level: the options that say how hard it is, such as `max_length` and `min_length`; none
            where nothing does, and the whole task is its hardest.
        config: how many episodes.
        device: where the agent lives.
        env_config: how environments are made.

    Returns:
        The `eval.` and `oracle.` keys of `results.json`.
    """
    hardest = at_hardest(options, level)
    rows = min(config.num_envs, config.episodes)

    def score(task: dict[str, Any], greedy: bool) -> Score:
        with closing(make_envs(env_id, rows, task, env_config)) as envs:
            return evaluate(
                agent,
                envs,
                config.episodes,
                seed=EVAL_SEED,
                greedy=greedy,
                device=device,
                solved_return=env_config.solved_return,
            )

    def ceiling_of(task: dict[str, Any]) -> float:
        with closing(make_envs(env_id, 1, task, env_config)) as envs:
            return expected_return(envs)

    ceiling, ceiling_hardest = ceiling_of(options), ceiling_of(hardest)
    whole = score(options, True)
    longest = score(hardest, True) if level else whole
    sampled = score(options, False)
    longest_sampled = score(hardest, False) if level else sampled
    return {
        "eval.episodes": len(whole.episodes),
        "eval.success": whole.success,
        "eval.return_mean": whole.return_mean,
        "eval.success_at_hardest": longest.success,
        "eval.share": whole.return_mean / ceiling,
        "eval.share_at_hardest": longest.return_mean / ceiling_hardest,
        "eval.kept_per_layer": whole.kept_per_layer,
        "eval.kept_at_decision_per_layer": longest.kept_at_end_per_layer,
        "eval.bytes_held": whole.bytes_held,
        "eval.span_relevant": whole.span_relevant,
        "eval.span_other": whole.span_other,
        "eval.recall_per_layer": whole.recall[:-1],
        "eval.recall": together(whole.recall),
        "eval.precision_per_layer": whole.precision[:-1],
        "eval.precision": together(whole.precision),
        "eval.withdrawn_held": together(whole.withdrawn_held),
        "eval_sampled.success": sampled.success,
        "eval_sampled.share": sampled.return_mean / ceiling,
        "eval_sampled.success_at_hardest": longest_sampled.success,
        "oracle.return_mean": oracle_return(env_id, options, config, env_config),
    }


def expected_return(envs: VectorEnv) -> float:
    """Return what perfect memory gets in `envs` on average; NaN where nobody has worked it out."""
    known = getattr(envs.unwrapped, "expected_return", None)
    return known() if known is not None else math.nan


def together(shares: list[float]) -> float:
    """Return the last of `shares`, that of all layers together; NaN where there is no memory."""
    return shares[-1] if shares else math.nan


def at_level(options: dict[str, Any], level: Sequence[str], value: int) -> dict[str, Any]:
    """Return the environment's options with its difficulty, `level`, fixed at `value`."""
    return options | dict.fromkeys(level, value)


def at_hardest(options: dict[str, Any], level: Sequence[str]) -> dict[str, Any]:
    """Return the environment's options with its difficulty, if it has one, at its highest."""
    if not level:
        return options
    return at_level(options, level, options[level[0]])


def oracle_return(
    env_id: str, options: dict[str, Any], config: EvalConfig, env_config: EnvConfig = PLAIN
) -> float:
    """Play the environment's scripted oracle; return its mean return, NaN where it has none."""
    rows = min(config.num_envs, config.episodes)
    with closing(make_envs(env_id, rows, options, env_config)) as envs:
        make_oracle = getattr(envs.unwrapped, "oracle", None)
        return math.nan if make_oracle is None else _played(envs, make_oracle(), config.episodes)


def _played(envs: VectorEnv, oracle: Any, episodes: int) -> float:
    """Return the mean return of `episodes` episodes of the oracle."""
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


def print_table(results: dict[str, Any]) -> None:
    """Print what a run achieved."""
    layers = ", ".join(f"{n:.1f}" for n in results["eval.kept_per_layer"])
    at_decision = ", ".join(f"{n:.1f}" for n in results["eval.kept_at_decision_per_layer"])
    table = Table(
        title=f"{results['env_id']}, {results['agent']}, seed {results['seed']}: "
        f"{results['eval.episodes']:,} greedy episodes"
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    rows = {
        "success": _number(results["eval.success"], 3),
        "success at the hardest": _number(results["eval.success_at_hardest"], 3),
        "share of perfect memory's return, greedy, sampled": ", ".join(
            _number(results[name], 3) for name in ("eval.share", "eval_sampled.share")
        ),
        "success, actions sampled": _number(results["eval_sampled.success"], 3),
        "mean return (oracle)": f"{results['eval.return_mean']:.3f} "
        f"({_number(results['oracle.return_mean'], 3)})",
        "memories kept, mean, per layer": layers or "-",
        "memories kept at the last decision, hardest, per layer": at_decision or "-",
        "lifetime of what matters, steps": _number(results["eval.span_relevant"], 1),
        "lifetime of the rest, steps": _number(results["eval.span_other"], 1),
        "what matters, held when it is needed": _number(results["eval.recall"], 3),
        "what is held, that matters": _number(results["eval.precision"], 3),
        "what was withdrawn, still held": _number(results["eval.withdrawn_held"], 3),
        "training steps": f"{results['train.steps']:,}",
        "training time, minutes": f"{results['train.seconds'] / 60:.1f}",
        "training steps/s": f"{results['train.steps_per_second']:,.0f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


def _number(value: float, digits: int) -> str:
    """Format a share or a lifetime; a dash where there is none."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"
