"""Act in processes of their own, so that acting and learning overlap (Espeholt et al. 2018)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, cast

import torch
from torch import multiprocessing

from rl_expire.learning.actor_worker import Parts, Reply, Request, receive, serve
from rl_expire.learning.ageing import empty_memory
from rl_expire.learning.published_weights import PublishedWeights
from rl_expire.learning.record import Record
from rl_expire.types import Agent, M, Rollout
from rl_expire.vector.faults import EnvFaultError

AHEAD = 2
"""Rollouts that each actor may owe: while one waits for the learner, it collects the next."""
MOST_DEATHS = 10
"""Processes in a row that may die before a rollout arrives."""
STARTING_SECONDS = 300.0
"""Seconds without any rollout after which a run is given up."""


@dataclass
class _Worker:
    """An actor process, the connection to it, and the number of rollouts it owes."""

    process: SpawnProcess
    connection: Connection
    owed: int = 0


class ActorProcesses(Record, Generic[M]):
    """Processes that each act on their own environments, on the CPU, for one learner.

    Each sends rollouts as fast as they are taken. One that dies is replaced, and what it was doing
    is lost. They end with the process that made them, however that ends.

    Args:
        agent: the learner's agent, on any device.
        parts: what each actor is made of.
        count: number of processes.
        device: device that rollouts are moved to.
        seed: seed of the first actor.
        options: options of the environments to begin with.
        metadata: the environments' metadata.

    Attributes:
        source: number of the actor that collected the last rollout.
        staleness: updates between the weights that acted in it and those that learn from it.
        deaths: number of processes that have died.
    """

    resumes_exactly = False

    def __init__(
        self,
        agent: Agent[M],
        parts: Parts,
        count: int,
        device: torch.device,
        seed: int,
        options: Mapping[str, int],
        metadata: dict[str, Any],
    ):
        """Start the processes."""
        super().__init__()
        self.agent, self.parts, self.device, self.seed = agent, parts, device, seed
        self.context = multiprocessing.get_context("spawn")
        self.weights = PublishedWeights(agent, self.context)
        self.options, self.metadata = dict(options), metadata
        self.source, self.staleness, self.deaths = 0, 0, 0
        self._started = 0
        self._workers = [self._start() for _ in range(count)]

    def collect(self, length: int) -> Rollout[M]:
        """Return the next rollout of any actor.

        Rollouts already under way keep the length and the options they were asked for with. Those
        of an actor so slow that they are older than two updates for each actor are dropped.

        Args:
            length: T of the rollouts to be collected from now on.

        Raises:
            EnvFaultError: an environment failed, or actors die again and again.
        """
        while True:
            reply = self._receive(Request(length, self.options))
            self.staleness = self.weights.version - reply.version
            self.tells_success |= reply.tells_success
            self.episodes += reply.episodes
            self.faults += reply.faults
            if self.staleness <= AHEAD * len(self._workers):
                return self._moved(reply.rollout)

    def refresh(self) -> None:
        """Publish the agent's current weights."""
        self.weights.publish(self.agent)

    def change(self, options: Mapping[str, int]) -> None:
        """Change options of the environments, in each from its next episode on."""
        self.options = dict(options)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing to restore: the actors' episodes are lost when a run stops."""
        return {}

    def load_state_dict(self, state: Any) -> None:
        """Publish the agent's weights; the actors go on with the episodes they play."""
        self.refresh()

    def restart(self, seed: int | None = None) -> None:
        """Do nothing: a run that is resumed has new actors."""

    def check_policy(self) -> None:
        """Do nothing: there is no step at hand to act on."""

    def close(self) -> None:
        """Kill the processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def _start(self) -> _Worker:
        """Start a process, with a seed of its own."""
        ours, theirs = self.context.Pipe()
        rows = 10_000  # more environments than an actor has: each has a seed of its own
        seed = (self.seed + rows * self._started) % 2**32
        self._started += 1
        process = self.context.Process(
            target=serve, args=(theirs, self.weights, self.parts, seed), daemon=True
        )
        try:
            process.start()
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise ValueError(
                f"--train.actors needs an environment that can be sent to another process: {error}"
            ) from error
        theirs.close()
        return _Worker(process, ours)

    def _receive(self, request: Request) -> Reply[M]:
        """Keep all actors busy, and return the next reply, the actors taking turns."""
        deaths = 0
        while deaths < MOST_DEATHS:
            for number in range(len(self._workers)):
                self._ask(number, request)
            ready = wait([w.connection for w in self._workers], STARTING_SECONDS)
            if not ready:
                raise EnvFaultError(f"no actor has sent a rollout for {STARTING_SECONDS:g} seconds")
            number = self._next_of(cast(list[Connection], ready))
            try:
                reply = receive(self._workers[number].connection)
            except (EOFError, OSError):
                deaths += 1
                self._replace(number)
                continue
            if isinstance(reply, EnvFaultError):
                raise reply
            self._workers[number].owed -= 1
            self.source = number
            return reply
        raise EnvFaultError(f"{deaths} actor processes have died one after the other")

    def _ask(self, number: int, request: Request) -> None:
        """Ask an actor for as many rollouts as it may owe."""
        worker = self._workers[number]
        with suppress(OSError):  # if it has died, receiving from it finds out
            while worker.owed < AHEAD:
                worker.connection.send(request)
                worker.owed += 1

    def _next_of(self, ready: list[Connection]) -> int:
        """Return the number of the actor, of those that are `ready`, whose turn is next."""
        count = len(self._workers)
        order = [(self.source + 1 + n) % count for n in range(count)]
        return next(n for n in order if self._workers[n].connection in ready)

    def _replace(self, number: int) -> None:
        """Replace an actor that has died."""
        self.deaths += 1
        worker = self._workers[number]
        worker.connection.close()
        worker.process.join()
        self._workers[number] = self._start()

    def _moved(self, rollout: Rollout[M]) -> Rollout[M]:
        """Return `rollout` on the learner's device."""
        if self.device.type == "cpu":
            return rollout
        tensors = {
            name: value.to(self.device, non_blocking=True)
            for name, value in vars(rollout).items()
            if isinstance(value, torch.Tensor)
        }
        steps = rollout.steps.map(lambda x: x.to(self.device, non_blocking=True))
        empty = empty_memory(self.agent, tensors["pace"])
        memory = empty.restored(rollout.memory.state_dict())
        return replace(rollout, steps=steps, memory=memory, **tensors)
