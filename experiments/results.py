"""The evaluation after training: the same numbers and keys for every experiment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from rich.console import Console
from rich.table import Table
from runs import make_envs

from rl_expire.evaluation import Score, evaluate, quotas
from rl_expire.types import Agent, M

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
) -> dict[str, Any]:
    """Score `agent` over the whole task and at its hardest alone, greedy and sampled.

    Args:
        agent: the trained agent.
        env_id: the environment.
        options: its keyword arguments.
        level: the options that say how hard it is, such as `max_length` and `min_length`.
        config: how many episodes.
        device: where the agent lives.

    Returns:
        The `eval.` and `oracle.` keys of `results.json`.
    """
    hardest = at_hardest(options, level)

    def score(task: dict[str, Any], greedy: bool) -> Score:
        envs = make_envs(env_id, min(config.num_envs, config.episodes), task)
        return evaluate(agent, envs, config.episodes, seed=EVAL_SEED, greedy=greedy, device=device)

    ceiling, ceiling_hardest = (
        expected_return(make_envs(env_id, 1, task)) for task in (options, hardest)
    )
    whole, longest = score(options, True), score(hardest, True)
    sampled = score(options, False)
    return {
        "eval.episodes": len(whole.episodes),
        "eval.success": whole.success,
        "eval.return_mean": whole.return_mean,
        "eval.success_at_max_length": longest.success,
        "eval.share": whole.return_mean / ceiling,
        "eval.share_at_max_length": longest.return_mean / ceiling_hardest,
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
        "eval_sampled.success_at_max_length": score(hardest, False).success,
        "oracle.return_mean": oracle_return(env_id, options, config),
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
    """Return the environment's options with its difficulty fixed at its highest."""
    return at_level(options, level, options[level[0]])


def oracle_return(env_id: str, options: dict[str, Any], config: EvalConfig) -> float:
    """Play the environment's scripted oracle; return its mean return, NaN where it has none."""
    rows = min(config.num_envs, config.episodes)
    envs = make_envs(env_id, rows, options)
    make_oracle = getattr(envs.unwrapped, "oracle", None)
    if make_oracle is None:
        return float("nan")
    oracle = make_oracle()
    obs, _ = envs.reset(seed=EVAL_SEED)
    left, returns, running = quotas(config.episodes, rows), [], np.zeros(rows)
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
        "success": f"{results['eval.success']:.3f}",
        "success at the hardest": f"{results['eval.success_at_max_length']:.3f}",
        "share of perfect memory's return, greedy, sampled": f"{results['eval.share']:.3f}, "
        f"{results['eval_sampled.share']:.3f}",
        "success, actions sampled": f"{results['eval_sampled.success']:.3f}",
        "mean return (oracle)": f"{results['eval.return_mean']:.3f} "
        f"({results['oracle.return_mean']:.3f})",
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
