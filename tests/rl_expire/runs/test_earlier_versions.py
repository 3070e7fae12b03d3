"""Runs of earlier versions are resumed and exported although names have changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rl_expire.runs.earlier_versions import SCHEDULE, TRAINER, rename_trainer_state
from rl_expire.runs.policy import export_policy, read_policy, set_weights
from rl_expire.runs.run_folder import RunFolder
from rl_expire.runs.saver import Saver
from tests.rl_expire.learning.test_resume import AGENTS, make_trainer
from tests.support import copy_of, expire_agent, same_tree


def under_old_names(state: dict[str, Any]) -> dict[str, Any]:
    """A trainer's state as earlier versions wrote it."""
    old_trainer, old_schedule = ({new: old for old, new in d.items()} for d in (TRAINER, SCHEDULE))
    schedule = {old_schedule.get(key, key): value for key, value in state["schedule"].items()}
    return {old_trainer.get(k, k): v for k, v in (state | {"schedule": schedule}).items()}


def test_an_old_run_is_resumed_and_exported(tmp_path: Path) -> None:
    trainer, again = (make_trainer(AGENTS["expire-span"]) for _ in range(2))
    for _ in range(3):
        trainer.update()
    state = trainer.state_dict()
    old = under_old_names(state)
    assert not {"schedule", "mastered"} & old.keys()
    run = RunFolder.create(tmp_path / "run", {})
    run.checkpoints.save({"trainer": old, "seconds": 1.5}, 3, keep=1)
    assert Saver(again, run, pytest.fail).resume() == 1.5
    same_tree(again.state_dict(), state)
    export_policy(run.path, tmp_path / "out")
    config, weights = read_policy(tmp_path / "out")
    same_tree(weights, state["agent"])
    assert config["exported"] == {"updates": 3, "steps": state["schedule"]["steps"]}


@pytest.mark.parametrize("state", [{"schedule": {"rate": 1.0}, "mastered": []}, {}, None, [1]])
def test_anything_else_is_not_renamed(state: Any) -> None:
    assert rename_trainer_state(state) is state


def test_weights_from_before_rewards_were_scaled_see_rewards_as_they_are() -> None:
    agent, other = expire_agent(seed=0), expire_agent(seed=1)
    old = {k: v for k, v in copy_of(agent).items() if "reward_scale" not in k}
    set_weights(other, old)
    assert {k: v for k, v in copy_of(other).items() if "reward_scale" not in k}.keys() == old.keys()
    rewards = torch.tensor([0.5, -3.0])
    assert torch.equal(other.embedding.reward_scale(rewards), rewards)


def test_what_was_added_to_the_state_gets_its_default() -> None:
    state = rename_trainer_state({"actor": {"steps": 1}})
    assert state == {"actor": {"steps": 1, "tells_success": False}}
    state = {"schedule": {"curriculum": {"index": 2, "recent": [1.0]}}}
    curriculum = rename_trainer_state(state)["schedule"]["curriculum"]
    assert curriculum == {"index": 2, "recent": [1.0], "returns": []}
    assert rename_trainer_state({"actor": {"tells_success": True}})["actor"]["tells_success"]
