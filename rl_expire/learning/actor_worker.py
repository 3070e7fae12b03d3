"""What an actor process does: act on its own environments with the weights published last."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic

import gymnasium as gym
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv
from torch import Tensor

from rl_expire.learning.episode import Episode
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.published_weights import PublishedWeights
from rl_expire.types import Agent, M, Rollout
from rl_expire.vector.faults import EnvFaultError, error_summary


@dataclass(frozen=True)
class Parts:
    """What an actor is made of, in its own process.

    Attributes:
        make_envs: makes the environments.
        make_agent: makes the agent; its weights are loaded afterwards.
        solved_return: see `Actor`.
        spec: the environments' registration, which the learner's process may have made itself.
        pace: see `Actor`.
    """

    make_envs: Callable[[], VectorEnv]
    make_agent: Callable[[], Agent[Any]]
    solved_return: float | None = None
    spec: EnvSpec | None = None
    pace: Tensor | None = None


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


def send(connection: Connection, message: Reply[Any] | EnvFaultError) -> None:
    """Send a message as bytes.

    `Connection.send` would put tensors into shared memory and send a handle, for which the receiver
    then has to ask: it would wait for ever for an actor that has stopped since.
    """
    connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection) -> Reply[Any] | EnvFaultError:
    """Return what `send` has sent.

    Raises:
        EOFError: the process has died.
        OSError: it has died while it was sending.
    """
    return pickle.loads(connection.recv_bytes())


def serve(connection: Connection, weights: PublishedWeights, parts: Parts, seed: int) -> None:
    """Answer requests with replies, until the connection closes or an error has been sent.

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
    try:
        _serve(connection, weights, parts, seed)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the learner is gone
    except EnvFaultError as error:
        send(connection, error)
    except Exception as error:  # what the environments raise may not even be sent
        send(connection, EnvFaultError(f"an actor failed: {error_summary(error)}"))


def _serve(connection: Connection, weights: PublishedWeights, parts: Parts, seed: int) -> None:
    """Make the parts and answer requests."""
    request: Request = connection.recv()
    if parts.spec is not None:
        gym.registry.setdefault(parts.spec.id, parts.spec)
    agent, options = parts.make_agent(), request.options
    version = weights.load(agent)
    cpu = torch.device("cpu")
    actor = LocalActor(
        parts.make_envs(), agent, cpu, seed, parts.solved_return, options, parts.pace
    )
    while True:
        if request.options != options:
            options = request.options
            actor.change(options)
        if weights.version != version:
            version = weights.load(agent)
            actor.refresh()
        rollout = actor.collect(request.length)
        episodes, faults = actor.take_episodes(), actor.take_faults()
        reply = Reply(rollout, version, episodes, faults, actor.tells_success)
        send(connection, reply)
        request = connection.recv()
