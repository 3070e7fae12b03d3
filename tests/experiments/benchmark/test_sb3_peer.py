"""RecurrentPPO as a peer: one rollout an update, without a break between updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="the extra peers is not installed")

from experiments.benchmark.peer import PeerTask, Recipe
from experiments.benchmark.sb3_peer import SB3Peer

TASK = PeerTask(length=5, num_envs=4, seed=1)


@pytest.fixture(scope="module")
def peer() -> SB3Peer:
    """A peer that makes one pass."""
    return SB3Peer(TASK, passes=1)


def test_an_update_is_one_rollout_and_goes_on_where_the_last_one_ended(
    peer: SB3Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peer.recipe() == Recipe(256, minibatches=4, passes=1)
    assert peer.update() == 256 * 4
    weights = [p.detach().clone() for p in peer.model.policy.parameters()]
    envs = peer.model.get_env()
    assert envs is not None
    monkeypatch.setattr(envs, "reset", None)  # would raise
    assert peer.update() == 256 * 4
    assert peer.model.num_timesteps == 2 * 256 * 4
    assert peer.passes() == peer.model._n_updates == 2
    now = peer.model.policy.parameters()
    assert any(not old.equal(new) for old, new in zip(weights, now, strict=True))


@pytest.mark.parametrize("perfect", [True, False])
def test_success_is_that_of_greedy_play(
    peer: SB3Peer, monkeypatch: pytest.MonkeyPatch, perfect: bool
) -> None:
    oracle = TASK.make_hardest().unwrapped.oracle()

    def predict(obs: Any, memory: Any, is_first: Any, deterministic: bool) -> Any:
        """Play as the oracle does, or stand still."""
        assert deterministic
        action = oracle.act(obs, is_first)
        return (action if perfect else np.zeros_like(action)), memory

    monkeypatch.setattr(peer.model, "predict", predict)
    assert peer.success() == float(perfect)
