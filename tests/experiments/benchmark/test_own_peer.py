"""Agents of this project as peers: they stay on the full task, or follow their curriculum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.benchmark import own_peer
from experiments.benchmark.own_peer import OwnPeer
from experiments.benchmark.peer import PeerTask, Recipe
from tests.rl_expire.learning.trainers import actor_of

TASK = PeerTask(length=9, num_envs=8, seed=1)


@pytest.mark.parametrize(("agent", "rollout"), [("expire-span", 16), ("lstm", 256)])
def test_on_the_full_task_nothing_moves_on(agent: str, rollout: int) -> None:
    peer = OwnPeer(agent, TASK, full_task=True)
    envs, schedule = actor_of(peer.trainer).envs.unwrapped, peer.trainer.schedule
    for _ in range(3):
        assert peer.recipe() == Recipe(rollout, minibatches=4, passes=3)
        assert peer.update() == rollout * TASK.num_envs
        assert (schedule.phase, schedule.curriculum.level) == ("end", 9)
        assert schedule.forgetting == (agent == "expire-span")
        assert envs.options.max_length == 9  # type: ignore[attr-defined]
        assert schedule.plan().rate > 0


def test_the_first_episodes_are_those_of_the_full_task() -> None:
    task = PeerTask(length=200, num_envs=64, seed=1)
    peer = OwnPeer("lstm", task, full_task=True)
    lengths = actor_of(peer.trainer).envs.unwrapped.describe()["length"]  # type: ignore[attr-defined]
    assert np.mean(lengths) > 50


def test_to_solve_the_task_training_begins_with_the_first_lesson(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_peer, "EPISODES", 5)
    peer = OwnPeer("expire-span", TASK, full_task=False)
    schedule = peer.trainer.schedule
    assert (schedule.phase, schedule.curriculum.level) == ("learn", 4)
    assert peer.update() == 16 * TASK.num_envs
    assert 0 <= peer.success() <= 1


def test_passes_are_counted_as_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = OwnPeer("lstm", TASK, full_task=True)
    made = []
    unroll = peer.trainer.agent.unroll

    def counted(*inputs: Any) -> Any:
        """Count the minibatches that something is learned from."""
        made.append(1)
        return unroll(*inputs)

    monkeypatch.setattr(peer.trainer.agent, "unroll", counted)
    assert peer.passes() == 0
    for _ in range(2):
        peer.update()
        assert peer.passes() == len(made) / 4
