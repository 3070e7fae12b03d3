"""Time the environments on one core, beside those of MiniGrid."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from typing import Any

import gymnasium
import minigrid  # noqa: F401 (registers MiniGrid's ids)
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least
from rl_expire.runs.provenance import hardware

TASK_ENVS = {
    name: f"envs:RLExpire/{name}-v0"
    for name in ("Corridor", "Portal", "Instruction", "Collision", "TMaze")
}
MINIGRID = "MiniGrid-MemoryS13-v0"
MINIGRID_ENVS = 8
"""Number of MiniGrid environments in a `SyncVectorEnv`."""


def bench_env(num_envs: int = 512, steps: int = 2000, seed: int = 0) -> None:
    """Time environment steps with random actions on one core.

    Args:
        num_envs: Environments in each batch of this project's environments.
        steps: Steps of each batch. Single environments take twice as many, and MiniGrid's vector
            environment a quarter.
        seed: Seed of environments and actions.
    """
    at_least(1, num_envs=num_envs, steps=steps)
    at_least(0, seed=seed)
    pin_to_one_core()
    rows = []
    for name, env_id in TASK_ENVS.items():
        batch = gymnasium.make_vec(env_id, num_envs, "vector_entry_point")
        rows.append((f"{name}, batch", num_envs, batch_speed(batch, steps, seed)))
        single = gymnasium.make(env_id)
        rows.append((f"{name}, single", 1, single_speed(single, 2 * steps, seed)))
    baseline = single_speed(gymnasium.make(MINIGRID), 2 * steps, seed)
    rows.append((f"{MINIGRID}, single", 1, baseline))
    speed = batch_speed(make_minigrid_batch(), max(1, steps // 4), seed)
    rows.append((f"{MINIGRID}, SyncVectorEnv", MINIGRID_ENVS, speed))
    print_speeds(rows, baseline)


def print_speeds(rows: list[tuple[str, int, float]], baseline: float) -> None:
    """Print the speeds, and what they were measured on.

    Args:
        rows: name, number of environments, and environment steps per second.
        baseline: steps per second to compare with.
    """
    table = Table(title="Environment steps per second, one core, random actions")
    table.add_column("environment")
    for title in ("environments", "steps/s", "times MiniGrid"):
        table.add_column(title, justify="right")
    for name, count, speed in rows:
        table.add_row(name, str(count), f"{speed:,.0f}", f"{speed / baseline:,.1f}")
    console = Console()
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "gymnasium", "minigrid"))
    console.print(f"{hardware()}; Python {platform.python_version()}, {packages}")


def make_minigrid_batch() -> VectorEnv[Any, Any, Any]:
    """Return a `SyncVectorEnv` of MiniGrid environments whose observations are images alone."""
    from minigrid.wrappers import ImgObsWrapper

    return gymnasium.make_vec(MINIGRID, MINIGRID_ENVS, "sync", wrappers=[ImgObsWrapper])


def batch_speed(envs: VectorEnv[Any, Any, Any], steps: int, seed: int) -> float:
    """Step a vector environment with random actions, and close it.

    Args:
        envs: the vector environment.
        steps: steps to time; a tenth as many are made before, untimed.
        seed: seed of environments and actions.

    Returns:
        Environment steps per second, resets included.
    """
    space = envs.single_action_space
    assert isinstance(space, Discrete)
    warm_up = max(1, steps // 10)
    shape = (warm_up + steps, envs.num_envs)
    actions = np.random.default_rng(seed).integers(0, int(space.n), shape)
    envs.reset(seed=seed)
    for action in actions[:warm_up]:
        envs.step(action)
    start = time.perf_counter()
    for action in actions[warm_up:]:
        envs.step(action)
    seconds = time.perf_counter() - start
    envs.close()
    return steps * envs.num_envs / seconds


def single_speed(env: gymnasium.Env[Any, Any], steps: int, seed: int) -> float:
    """Step an environment with random actions, reset it after each episode, and close it.

    Args:
        env: the environment.
        steps: steps to time.
        seed: seed of environment and actions.

    Returns:
        Steps per second, resets included.
    """
    space = env.action_space
    assert isinstance(space, Discrete)
    actions = np.random.default_rng(seed).integers(0, int(space.n), steps)
    env.reset(seed=seed)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    seconds = time.perf_counter() - start
    env.close()
    return steps / seconds


def pin_to_one_core() -> None:
    """Keep this process on one core, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
