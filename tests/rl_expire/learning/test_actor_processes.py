"""Actors in processes of their own: their rollouts, their age, and what happens when they die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from agents import ExpireSpanConfig, make_agent
from rl_expire.learning.actor_processes import AHEAD, ActorProcesses
from rl_expire.learning.actor_worker import Parts
from rl_expire.learning.local_actor import LocalActor
from rl_expire.types import Rollout
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.make import make_envs
from tests.faulty import FaultyEnv
from tests.support import CPU

ROWS, LENGTH, COUNT = 4, 12, 2
CONFIG = ExpireSpanConfig(width=8, heads=2, max_span=20.0, initial_fraction=0.3, ramp=2.0)
MAKE_ENVS = partial(make_envs, "envs:RLExpire/Corridor-v0", ROWS, {"max_length": 9})
OPTIONS = {"max_length": 5}
SHARED = Path("/dev/shm")


def parts(make: Any = MAKE_ENVS) -> Parts:
    made = MAKE_ENVS()
    spaces = made.single_observation_space, made.single_action_space
    return Parts(make, partial(make_agent, *spaces, CONFIG))


def actors(count: int = COUNT, make: Any = MAKE_ENVS, seed: int = 3) -> ActorProcesses[Any]:
    torch.manual_seed(0)
    own = parts(make)
    return ActorProcesses(own.make_agent(), own, count, CPU, seed, OPTIONS, {})


@pytest.fixture(scope="module")
def two() -> Iterator[ActorProcesses[Any]]:
    """Two actors, for all tests of this file: starting them takes seconds."""
    processes = actors()
    yield processes
    processes.close()
    assert all(not w.process.is_alive() for w in processes._workers)


def tensors(rollout: Rollout[Any]) -> list[torch.Tensor]:
    """Return what a rollout holds."""
    found = [x for x in vars(rollout).values() if isinstance(x, torch.Tensor)]
    rollout.steps.map(lambda x: found.append(x) or x)
    return [*found, *(slots.hidden for slots in rollout.memory.layers)]


def test_a_process_collects_what_the_learner_would() -> None:
    with closing(actors(count=1)) as processes:
        found = [processes.collect(LENGTH) for _ in range(2)]
    torch.manual_seed(3)
    agent = parts().make_agent()
    agent.load_state_dict(processes.agent.state_dict())
    torch.manual_seed(3)
    parts().make_agent()  # draws as many numbers as in the process
    actor = LocalActor(MAKE_ENVS(), agent, CPU, 3, options=OPTIONS)
    for rollout in found:
        expected = tensors(actor.collect(LENGTH))
        assert len(expected) == len(tensors(rollout)) > 15
        for one, other in zip(expected, tensors(rollout), strict=True):
            assert torch.equal(one, other)
    assert processes.take_episodes() == actor.take_episodes()
    assert processes.take_episodes() == []


def test_no_rollout_is_older_than_two_updates_for_each_actor(two: ActorProcesses[Any]) -> None:
    staleness, sources = [], []
    while len(sources) < 12 or set(sources) != {0, 1}:  # one may take longer to start
        two.collect(LENGTH)
        staleness.append(two.staleness)
        sources.append(two.source)
        two.refresh()
    assert 0 < max(staleness) <= AHEAD * COUNT
    assert min(staleness) >= 0


def test_options_and_length_hold_for_the_rollouts_asked_for_from_then_on(
    two: ActorProcesses[Any],
) -> None:
    two.change({"max_length": 3})
    collected = [0] * COUNT
    while min(collected) <= AHEAD:  # what each of them had been asked for before comes first
        two.collect(7)
        collected[two.source] += 1
    assert [len(two.collect(7).action) for _ in range(2)] == [7, 7]
    collected = [0] * COUNT
    while min(collected) < 8:  # the episodes that are being played end first
        two.collect(LENGTH)
        collected[two.source] += 1
    two.take_episodes()
    for _ in range(6):
        two.collect(LENGTH)
    episodes = two.take_episodes()
    assert len(episodes) > 10
    assert {episode.info["length"] for episode in episodes} == {3.0}


def test_actors_act_with_the_weights_published_last(two: ActorProcesses[Any]) -> None:
    before = two.collect(LENGTH).logits
    assert before.abs().max() < 1
    with torch.no_grad():
        for name, weight in two.agent.named_parameters():
            if name == "heads.policy.bias":
                weight += torch.arange(len(weight)) * 5.0
    two.refresh()
    logits = two.collect(LENGTH).logits
    while two.staleness:  # those of rollouts that were under way are from before
        logits = two.collect(LENGTH).logits
    assert float((logits[..., 1] - logits[..., 0]).mean()) == pytest.approx(5.0, abs=1.0)


def first_one_slow(path: Path) -> Any:
    """Make environments; those of the first process to get here take a second for each step."""
    made = MAKE_ENVS()
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return made
    step = made.step
    made.step = lambda actions: (time.sleep(1.0), step(actions))[1]
    return made


@pytest.mark.slow
def test_a_slow_actor_does_not_stop_the_others(tmp_path: Path) -> None:
    with closing(actors(make=partial(first_one_slow, tmp_path / "slow"))) as processes:
        processes.collect(LENGTH)
        fast = processes.source
        start = time.monotonic()
        for _ in range(8):
            processes.collect(LENGTH)
            assert processes.source == fast
        assert time.monotonic() - start < LENGTH
        while processes.source == fast:
            processes.collect(LENGTH)


def test_an_actor_that_is_killed_is_replaced(two: ActorProcesses[Any]) -> None:
    deaths = two.deaths
    victim = two._workers[1].process
    victim.kill()
    sources = set()
    for _ in range(400):
        two.collect(LENGTH)
        sources.add(two.source)
        if two.deaths > deaths and sources == {0, 1} and two._workers[1].owed < AHEAD:
            break
    assert two.deaths == deaths + 1
    assert two._workers[1].process.pid != victim.pid
    assert two._workers[1].process.is_alive()


def dying_envs() -> Any:
    """Kill the process."""
    os._exit(3)


def test_a_fault_of_an_environment_reaches_the_learner() -> None:
    faulty = partial(make_envs, "tests.faulty:Faulty-v0", ROWS, {"fault": "raise"})
    spaces = FaultyEnv.observation_space, FaultyEnv.action_space
    own = Parts(faulty, partial(make_agent, *spaces, CONFIG))
    with (
        closing(ActorProcesses(own.make_agent(), own, 1, CPU, 3, {}, {})) as processes,
        pytest.raises(EnvFaultError, match="the physics broke down"),
    ):
        processes.collect(LENGTH)


def impossible_envs() -> Any:
    """Raise what making environments may raise."""
    raise ValueError("no such maze")


def test_an_actor_that_cannot_begin_says_why() -> None:
    with (
        closing(actors(count=1, make=impossible_envs)) as processes,
        pytest.raises(EnvFaultError, match="an actor failed: no such maze"),
    ):
        processes.collect(LENGTH)


def test_actors_that_die_again_and_again_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_expire.learning.actor_processes.MOST_DEATHS", 2)
    with (
        closing(actors(count=1, make=dying_envs)) as processes,
        pytest.raises(EnvFaultError, match="2 actor processes have died"),
    ):
        processes.collect(LENGTH)


def test_what_cannot_be_sent_to_a_process_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="an environment that can be sent to another process"):
        actors(count=1, make=lambda: MAKE_ENVS())


SCRIPT = """
from tests.rl_expire.learning.test_actor_processes import actors
if __name__ == "__main__":
    processes = actors(count=1)
    processes.collect(12)
    print(*(w.process.pid for w in processes._workers), flush=True)
    while True:
        processes.collect(12)
"""


@pytest.mark.skipif(not SHARED.exists(), reason="needs /dev/shm")
def test_nothing_is_left_when_the_learner_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "learner.py"
    script.write_text(SCRIPT)
    before = set(SHARED.iterdir())
    command = [sys.executable, str(script)]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as learner:
        assert learner.stdout is not None
        pid = int(learner.stdout.readline())
        learner.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists(), "the actor ends as well"
    assert set(SHARED.iterdir()) <= before
