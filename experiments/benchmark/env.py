"""How fast the environments step on one core, beside MiniGrid's own in the same run."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import minigrid  # noqa: F401 (registers MiniGrid's ids)
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least

OURS = {name: f"envs:RLExpire/{name}-v0" for name in ("Corridor", "Portal", "Instruction")}
MINIGRID = "MiniGrid-MemoryS13-v0"
SYNC_ENVS = 8


def bench_env(num_envs: int = 512, steps: int = 2000, seed: int = 0) -> None:
    """Prints a table of environment steps per second with random actions, on one core.

    Args:
        num_envs: Environments in our batches.
        steps: Steps of a batch; the slower rows take as many environment steps as fit.
        seed: Seed of environments and actions.
    """
    at_least(1, num_envs=num_envs, steps=steps)
    at_least(0, seed=seed)
    pin_to_one_core()
    rows = []
    for name, env_id in OURS.items():
        rows.append(
            (f"{name}, batch", num_envs, batch_speed(make_batch(env_id, num_envs), steps, seed))
        )
        rows.append((f"{name}, single", 1, single_speed(gymnasium.make(env_id), 2 * steps, seed)))
    single_minigrid = single_speed(gymnasium.make(MINIGRID), 2 * steps, seed)
    rows.append((f"{MINIGRID}, single", 1, single_minigrid))
    rows.append(
        (f"{MINIGRID}, SyncVectorEnv", SYNC_ENVS, batch_speed(make_sync(), steps // 4, seed))
    )
    table = Table(title="Environment steps per second, one core, random actions")
    table.add_column("environment")
    for title in ("environments", "steps/s", "times MiniGrid"):
        table.add_column(title, justify="right")
    for name, count, speed in rows:
        table.add_row(name, str(count), f"{speed:,.0f}", f"{speed / single_minigrid:,.1f}")
    console = Console()
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "gymnasium", "minigrid"))
    console.print(f"{cpu_model()}; Python {platform.python_version()}, {packages}")


def make_batch(env_id: str, num_envs: int) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Makes one of our batches with its default options."""
    return gymnasium.make_vec(env_id, num_envs, "vector_entry_point")


def make_sync() -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Makes Gymnasium's own batch of MiniGrid environments, observing images only as ours do."""
    from minigrid.wrappers import ImgObsWrapper

    return gymnasium.make_vec(MINIGRID, SYNC_ENVS, "sync", wrappers=[ImgObsWrapper])


def batch_speed(env: gymnasium.vector.VectorEnv[Any, Any, Any], steps: int, seed: int) -> float:
    """Steps a batch with random actions.

    Args:
        env: The batch.
        steps: Steps to time; a tenth as many go before, untimed.
        seed: Seed of environments and actions.

    Returns:
        Environment steps per second, resets included.
    """
    space = env.single_action_space
    assert isinstance(space, gymnasium.spaces.Discrete)
    warm_up = max(1, steps // 10)
    shape = (warm_up + steps, env.num_envs)
    actions = np.random.default_rng(seed).integers(0, int(space.n), shape)
    env.reset(seed=seed)
    for action in actions[:warm_up]:
        env.step(action)
    start = time.perf_counter()
    for action in actions[warm_up:]:
        env.step(action)
    seconds = time.perf_counter() - start
    env.close()
    return steps * env.num_envs / seconds


def single_speed(env: gymnasium.Env[Any, Any], steps: int, seed: int) -> float:
    """Steps a single environment with random actions, resetting where an episode ends.

    Args:
        env: The environment.
        steps: Steps to time.
        seed: Seed of environment and actions.

    Returns:
        Steps per second, resets included.
    """
    space = env.action_space
    assert isinstance(space, gymnasium.spaces.Discrete)
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
    """Keeps this process on one core, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def cpu_model() -> str:
    """Names the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
