"""Runs of earlier versions are resumed and exported although names have changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from agents import ExpireSpanConfig, ExpireTransformer
from agents.encoders.scale import NEVER
from agents.pretrained import load_agent
from rl_expire.runs.checkpoint import save_weights
from rl_expire.runs.earlier_versions import (
    SCHEDULE,
    TRAINER,
    complete_trainer_state,
    complete_weights,
    rename_trainer_state,
)
from rl_expire.runs.json_file import write_json
from rl_expire.runs.policy import export_policy, read_policy, set_weights
from rl_expire.runs.run_folder import RunFolder
from rl_expire.runs.saver import Saver
from tests.rl_expire.learning.test_resume import AGENTS, make_trainer
from tests.support import (
    ACTIONS,
    SMALL,
    VECTOR,
    act_over,
    copy_of,
    expire_agent,
    random_steps,
    same_tree,
)
from tests.support import (
    AGENTS as ALL_AGENTS,
)


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


def horizons(agent: ExpireTransformer) -> list[float]:
    """Return the horizon of training, in each layer."""
    return [float(x) for name, x in agent.named_buffers() if name.endswith("horizon.tested")]


def answers(agent: ExpireTransformer) -> list[torch.Tensor]:
    """Return logits and values of 20 steps of one episode."""
    steps = random_steps(20, 2, first=[(0, 0), (0, 1)])
    return list(act_over(agent, steps, agent.initial_memory(2))[:2])


@pytest.mark.parametrize("layers", [1, 3])
def test_weights_from_before_the_horizon_act_as_they_did(layers: int) -> None:
    agent, other = (expire_agent(seed=seed, layers=layers) for seed in (0, 1))
    assert horizons(agent) == [0.0] * layers
    old = {k: v for k, v in copy_of(agent).items() if "horizon" not in k}
    assert len(old) == len(copy_of(agent)) - layers
    other.set_horizon(3.0)
    assert horizons(other) == [3.0] * layers
    set_weights(other, old)
    assert horizons(other) == [0.0] * layers
    same_tree(answers(other), answers(agent))
    other.set_horizon(1.0)
    found, before = answers(other), answers(agent)
    assert not torch.equal(found[0], before[0]), "with a horizon, it would act differently"


def test_a_policy_exported_before_the_horizon_is_opened_and_acts_as_it_did(tmp_path: Path) -> None:
    agent = expire_agent(seed=4)
    old = {k: v for k, v in copy_of(agent).items() if "horizon" not in k}
    save_weights(old, tmp_path / "model.safetensors")
    options = {"agent": {"name": ExpireSpanConfig.name, "options": dict(vars(SMALL))}}
    write_json(tmp_path / "config.json", options)
    opened = load_agent(tmp_path, VECTOR, ACTIONS)
    assert isinstance(opened, ExpireTransformer)
    assert horizons(opened) == [0.0]
    same_tree(answers(opened), answers(agent))


def test_a_horizon_that_weights_have_is_kept() -> None:
    agent, other = expire_agent(seed=0), expire_agent(seed=1)
    agent.set_horizon(7.0)
    set_weights(other, copy_of(agent))
    assert horizons(other) == [7.0]
    same_tree(answers(other), answers(agent))


@pytest.mark.parametrize("name", ALL_AGENTS)
def test_present_weights_of_any_agent_are_complete(name: str) -> None:
    weights = copy_of(ALL_AGENTS[name]())
    same_tree(complete_weights(weights), weights)


def test_what_was_added_to_the_state_gets_its_default() -> None:
    state = rename_trainer_state({"actor": {"steps": 1}})
    assert state == {"actor": {"steps": 1, "tells_success": False}}
    state = {"schedule": {"curriculum": {"index": 2, "recent": [1.0]}}}
    curriculum = rename_trainer_state(state)["schedule"]["curriculum"]
    assert curriculum == {"index": 2, "recent": [1.0], "returns": [], "lengths": [], "easier": []}
    assert rename_trainer_state({"actor": {"tells_success": True}})["actor"]["tells_success"]


def without_obs_stats(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights as they were before observed numbers had a scale."""
    old = {k: v for k, v in weights.items() if ".scale." not in k}
    assert len(old) == len(weights) - 3
    return old


def test_weights_from_before_numbers_were_scaled_act_as_they_did() -> None:
    agent, other, learning = (expire_agent(seed=seed) for seed in (0, 1, 0))
    steps = random_steps(5, 2)
    learning.update_obs_stats(steps.obs, torch.ones(5, 2, dtype=torch.bool))
    assert not torch.equal(answers(learning)[0], answers(agent)[0])
    set_weights(other, without_obs_stats(copy_of(agent)))
    other.update_obs_stats(steps.obs, torch.ones(5, 2, dtype=torch.bool))
    same_tree(answers(other), answers(agent))


def test_a_run_from_before_numbers_were_scaled_goes_on_without() -> None:
    weights = copy_of(expire_agent())
    old = without_obs_stats(weights)
    state = {"agent": old, "optimizer": {}, "mastered": [{"agent": old, "optimizer": {}}]}
    completed = complete_trainer_state(state, weights)
    for part in (completed, *completed["mastered"]):
        assert part["optimizer"] == {}
        assert part["agent"].keys() == weights.keys()
        assert part["agent"]["embedding.encoder.scale.count"] == NEVER
    present = {"agent": weights, "mastered": []}
    same_tree(complete_trainer_state(present, weights), present)
    for other in ({"schedule": {}}, None, {"agent": 3, "mastered": [1]}):
        assert complete_trainer_state(other, weights) == other
