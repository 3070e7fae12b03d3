"""What an actor process does: act on its own environments with the weights published last."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic

import torch
from gymnasium.vector import VectorEnv

from rl_expire.learning.episode import Episode
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.published_weights import PublishedWeights
from rl_expire.types import Agent, M, Rollout
from rl_expire.vector.faults import EnvFaultError, close_envs


@dataclass(frozen=True)
class Parts:
    """What an actor is made of, in its own process.

    Attributes:
        make_envs: makes the environments.
        make_agent: makes the agent; its weights are loaded afterwards.
        solved_return: see `Actor`.
    """

    make_envs: Callable[[], VectorEnv]
    make_agent: Callable[[], Agent[Any]]
    solved_return: float | None = None


@dataclass(frozen=True)
class Request:
    """Ask for a rollout of `length` steps, with these `options` of the environments."""

    length: int
    options: Mapping[str, int]


@dataclass(frozen=True)
class Reply(Generic[M]):
    """A rollout, and what became known meanwhile.

    Attributes:
        rollout: on the CPU.
        version: version of the weights that acted.
        episodes: the episodes that finished.
        faults: the faults of environments that were rebuilt.
        tells_success: see `Actor`.
    """

    rollout: Rollout[M]
    version: int
    episodes: list[Episode]
    faults: list[str]
    tells_success: bool


def serve(connection: Connection, weights: PublishedWeights, parts: Parts, seed: int) -> None:
    """Answer requests with replies, or with an `EnvFaultError`, until the connection closes.

    Args:
        connection: to the learner.
        weights: the learner's weights.
        parts: what to make.
        seed: seed of environments and actions.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the learner, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    envs = parts.make_envs()
    try:
        _serve(connection, weights, parts, envs, seed)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the learner is gone
    except EnvFaultError as error:
        connection.send(error)
    finally:
        close_envs(envs)


def _serve(
    connection: Connection, weights: PublishedWeights, parts: Parts, envs: VectorEnv, seed: int
) -> None:
    """Do what `serve` does, in environments that exist."""
    request: Request = connection.recv()
    agent, options = parts.make_agent(), request.options
    version = weights.load(agent)
    cpu = torch.device("cpu")
    actor = LocalActor(envs, agent, cpu, seed, parts.solved_return, options)
    while True:
        if request.options != options:
            options = request.options
            actor.change(options)
        if weights.version != version:
            version = weights.load(agent)
            actor.refresh()
        rollout = actor.collect(request.length)
        episodes, faults = actor.take_episodes(), actor.take_faults()
        connection.send(Reply(rollout, version, episodes, faults, actor.tells_success))
        request = connection.recv()
