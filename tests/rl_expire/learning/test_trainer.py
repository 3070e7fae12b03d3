"""Training on a tiny corridor: what learns in which phase, what is restored, what is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from agents import ExpireSpanConfig, ExpireTransformer
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.episode import Episode
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.train_loop import train
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.validate import OptionError
from tests.support import CPU, copy_of

ROWS, LENGTH, GOAL, WINDOW, SETTLE = 4, 4, 12, 5, 1
SIZES = TrainConfig(num_envs=ROWS, rollout_length=LENGTH, total_steps=160, checkpoint_every=4)
NO_GRADIENT = {"embedding.reward.weight"}
"""Has no gradient while no reward is seen, as in these few steps."""
AGENT = ExpireSpanConfig(width=8, heads=2, max_span=20.0, ramp=4.0)


def make_trainer(
    start: int = 3,
    method: Any = "after-learning",
    train: TrainConfig = SIZES,
    agent: Any = None,
    **ppo: Any,
) -> Trainer[Any]:
    vector = gymnasium.make_vec(
        "RLExpire/Corridor-v0", train.num_envs, "vector_entry_point", max_length=GOAL
    )
    torch.manual_seed(0)
    spaces = vector.single_observation_space, vector.single_action_space
    agent = agent or ExpireTransformer(*spaces, AGENT)
    forgetting = ForgettingConfig(method=method, steps=64, learning_rate=0.5, minibatches=2)
    levels = [Level(n, {"max_length": n}) for n in ladder(start, GOAL, 2.0)]
    schedule = Schedule(
        Curriculum(levels, CurriculumConfig(window=WINDOW)),
        LearningConfig(settle_steps=SETTLE),
        total_steps=train.total_steps,
        forget_steps=forgetting.steps if method == "after-learning" else None,
        tolerance=0.1,
    )
    config = replace(PPOConfig(minibatches=2, epochs=1, learning_rate=0.01), **ppo)
    return Trainer(
        agent,
        vector,
        schedule,
        "length",
        "success",
        train=train,
        ppo=config,
        forgetting=forgetting,
        device=CPU,
        seed=0,
    )


def finish_window(trainer: Trainer[Any], success: float) -> None:
    """Let the trainer see a full window of the hardest episodes, and nothing else."""
    hardest = {"length": float(trainer.schedule.curriculum.level), "success": success}
    trainer.actor.episodes = [Episode(0, success, 5, hardest)] * WINDOW
    trainer._follow_schedule(trainer.steps)


def begin_forgetting(trainer: Trainer[Any]) -> None:
    """Solve the full task, and skip the settling phase."""
    finish_window(trainer, 1.0)
    assert trainer.schedule.phase == "settle"
    trainer.schedule.phase_start -= SETTLE
    finish_window(trainer, 1.0)
    assert trainer.schedule.phase == "forget"


START = {"learn": 3, "forget": GOAL}
"""First level of the curriculum of `trainer_in`, by phase."""


def trainer_in(phase: str) -> Trainer[Any]:
    """Return a trainer in a phase, after an update; while learning, at the second level."""
    trainer = make_trainer(start=START[phase])
    trainer.update()
    begin_forgetting(trainer) if phase == "forget" else finish_window(trainer, 1.0)
    return trainer


def changed(trainer: Trainer[Any], before: dict[str, torch.Tensor]) -> set[str]:
    """Return the names of the weights that have changed."""
    after = trainer.agent.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def names(trainer: Trainer[Any], *, spans: bool) -> set[str]:
    """Return the names of the span parameters, or of all others."""
    parameters = [name for name, _ in trainer.agent.named_parameters()]
    return {name for name in parameters if ("lifetime" in name) == spans}


def test_a_run_takes_its_steps_and_reports_every_update() -> None:
    trainer, reports, saves = make_trainer(), [], []
    done = train(trainer, report=reports.append, save=lambda: saves.append(trainer.updates))
    assert done
    assert trainer.finished
    assert trainer.steps == 160
    assert [r["steps"] for r in reports] == [16 * n for n in range(1, 11)]
    assert saves == [4, 8, 10], "every 4 updates, and at the end"
    logged = {"phase", "level", "alpha", "learning_rate", "success", "success_longest", "kept/0"}
    assert logged | {"policy_loss", "approx_kl", "grad_norm", "span_other"} <= reports[-1].keys()
    assert all(r["alpha"] == 0 for r in reports)


def test_the_environments_have_the_level_of_the_curriculum() -> None:
    trainer = make_trainer()
    levels = [trainer.envs.unwrapped.options.max_length]  # pyright: ignore[reportAttributeAccessIssue]
    for success in (1.0, 1.0, 0.0):
        finish_window(trainer, success)
        levels.append(trainer.envs.unwrapped.options.max_length)  # pyright: ignore[reportAttributeAccessIssue]
    assert levels == [3, 6, 12, 6]


def test_rollouts_grow_with_the_curriculum() -> None:
    trainer = make_trainer(train=replace(SIZES, rollout_length=4, longest_rollout=16))
    lengths, steps = [], []
    for index in range(3):
        trainer.schedule.curriculum.go_to(index)
        lengths.append(trainer.rollout_length)
        before = trainer.steps
        trainer.update()
        steps.append(trainer.steps - before)
    assert lengths == [4, 8, 16]
    assert steps == [ROWS * length for length in lengths]


def test_with_one_level_rollouts_grow_with_the_delay_of_the_reward() -> None:
    trainer = make_trainer(train=replace(SIZES, rollout_length=4, longest_rollout=16))
    trainer.schedule.curriculum.levels = trainer.schedule.curriculum.levels[:1]
    lengths = []
    for delay in (0.0, 1.0, 2.0, 2.5, 4.5, 100.0):
        sums = trainer.reward_delay.state_dict() | {"delays": np.array([1.0, delay])}
        trainer.reward_delay.load_state_dict(sums)
        lengths.append(trainer.rollout_length)
    assert lengths == [4, 4, 4, 8, 16, 16]


def test_a_retreat_restores_the_weights_and_moments_that_mastered_the_level() -> None:
    trainer = make_trainer()
    trainer.update()
    finish_window(trainer, 1.0)
    mastered = copy_of(trainer.agent)
    moments = trainer.learner.optimizer.state_dict()["state"][0]["exp_avg"].clone()
    trainer.update()
    assert changed(trainer, mastered)
    finish_window(trainer, 0.0)
    assert trainer.schedule.curriculum.level == 3
    assert not changed(trainer, mastered)
    assert torch.equal(trainer.learner.optimizer.state_dict()["state"][0]["exp_avg"], moments)
    trainer.update()
    assert changed(trainer, mastered), "and they continue to learn"


def test_while_learning_everything_but_the_spans_changes() -> None:
    trainer = make_trainer()
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    assert changed(trainer, before) >= names(trainer, spans=False) - NO_GRADIENT
    assert not changed(trainer, before) & names(trainer, spans=True)


def test_while_forgetting_everything_but_the_features_of_spans_changes() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    begin_forgetting(trainer)
    before = copy_of(trainer.agent)
    report = trainer.update()
    trainer.update()
    features = {n for n, _ in trainer.agent.named_parameters() if n.startswith("embedding")}
    everything = names(trainer, spans=True) | names(trainer, spans=False)
    weights = {name for name, _ in trainer.agent.named_parameters()}
    assert changed(trainer, before) & weights == everything - features
    assert (report["phase"], report["alpha"]) == ("forget", trainer.learner.forgetting.alpha)
    assert {"distillation", "span_grad_norm", "kept/0"} <= report.keys()


def test_forgetting_starts_with_calibrated_spans_of_unchanged_length() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    before = copy_of(trainer.agent)
    begin_forgetting(trainer)
    assert changed(trainer, before) == {
        "layers.0.lifetime.head.center",
        "layers.0.lifetime.head.scale",
    }
    spans = trainer.actor.memory.layers[0].span
    torch.testing.assert_close(spans[spans.isfinite()].unique(), torch.tensor([10.0]))


def test_the_joint_method_changes_spans_and_everything_else_together() -> None:
    trainer = make_trainer(method="joint")
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    both = names(trainer, spans=True) | names(trainer, spans=False)
    assert changed(trainer, before) >= both - NO_GRADIENT
    finish_window(trainer, 1.0)
    assert trainer.schedule.phase == "learn"


def test_the_forgetting_phase_ends_the_run() -> None:
    trainer = make_trainer(start=GOAL)
    begin_forgetting(trainer)
    train(trainer, report=lambda _: None, save=lambda: None)
    assert trainer.steps == ROWS * LENGTH + 64, "the rollout that calibrates the spans, and 64"


def test_episodes_of_earlier_levels_are_not_reported() -> None:
    trainer = make_trainer()
    finish_window(trainer, 1.0)
    assert trainer.recent.summary(6)["episodes"] == 0
    finish_window(trainer, 0.75)
    assert trainer.recent.summary(6) == {
        **dict.fromkeys(("success", "success_longest", "return"), 0.75),
        "episodes": WINDOW,
    }


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_run_that_spent_its_steps_goes_on_when_it_is_given_more(phase: str) -> None:
    def make(total_steps: int) -> Trainer[Any]:
        return make_trainer(START[phase], train=replace(SIZES, total_steps=total_steps))

    trainer = make(32 if phase == "learn" else 48)
    if phase == "forget":
        begin_forgetting(trainer)
    assert train(trainer, report=lambda _: None, save=lambda: None)
    assert trainer.schedule.phase == phase
    longer = make(160)
    longer.load_state_dict(trainer.state_dict())
    assert not longer.finished
    assert train(longer, report=lambda _: None, save=lambda: None)
    assert longer.steps == (160 if phase == "learn" else ROWS * LENGTH + 64)


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_restored_trainer_continues_in_the_same_phase_at_the_same_level(phase: str) -> None:
    trainer = trainer_in(phase)
    trainer.update()
    assert trainer.schedule.phase == phase
    restored = make_trainer(start=START[phase])
    restored.load_state_dict(trainer.state_dict())
    assert not changed(restored, copy_of(trainer.agent))
    assert (restored.steps, restored.updates) == (trainer.steps, trainer.updates)
    assert restored.schedule.plan() == trainer.schedule.plan()
    level = restored.envs.unwrapped.options.max_length  # pyright: ignore[reportAttributeAccessIssue]
    assert level == (GOAL if phase == "forget" else 6)
    before = copy_of(restored.agent)
    restored.update()
    updated = changed(restored, before)
    assert updated & names(restored, spans=False)
    assert bool(updated & names(restored, spans=True)) == (phase == "forget")


def test_weights_to_restore_after_a_collapse_are_part_of_a_checkpoint() -> None:
    trainer = make_trainer()
    trainer.update()
    finish_window(trainer, 1.0)
    mastered = copy_of(trainer.agent)
    trainer.update()
    restored = make_trainer()
    restored.load_state_dict(trainer.state_dict())
    finish_window(restored, 0.0)
    assert not changed(restored, mastered)


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_new_learning_rate_applies_to_a_restored_run(phase: str) -> None:
    trainer = trainer_in(phase)
    restored = make_trainer(start=START[phase], learning_rate=0.005)
    restored.learner.forgetting = replace(restored.learner.forgetting, learning_rate=0.25)
    restored.load_state_dict(trainer.state_dict())
    restored.update()
    if phase == "learn":
        rate = restored.schedule.plan().rate * 0.005
        assert restored.learner.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    else:
        assert restored.learner.span_optimizer.param_groups[0]["lr"] == 0.25


def test_a_stopped_run_is_saved_and_reported_as_unfinished() -> None:
    trainer, saves = make_trainer(), []
    done = train(
        trainer,
        report=lambda _: None,
        save=lambda: saves.append(trainer.updates),
        stop=lambda: trainer.updates == 2,
    )
    assert not done
    assert saves == [2]
    assert not trainer.finished


def test_slow_updates_are_saved_every_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, saves = make_trainer(), []
    monkeypatch.setattr("rl_expire.learning.train_loop.monotonic", lambda: 30.0 * trainer.updates)
    train(trainer, report=lambda _: None, save=lambda: saves.append(trainer.updates))
    assert saves == [2, 4, 6, 8, 10, 10]


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_loss_that_is_not_finite_stops_training_without_saving_and_describes_the_batch(
    phase: str,
) -> None:
    trainer, saves = make_trainer(start=GOAL, train=replace(SIZES, most_skipped=0)), []
    if phase == "forget":
        begin_forgetting(trainer)
    with torch.no_grad():
        trainer.agent.get_parameter("heads.value.bias").fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match="loss nan") as caught:
        train(trainer, report=lambda _: None, save=lambda: saves.append(1))
    assert saves == []
    description = caught.value.description
    assert (
        description["value"]["nonfinite"] == description["value"]["entries"] == LENGTH * ROWS // 2
    )
    assert description["logits"]["nonfinite"] == 0
    assert description["reward"]["nonfinite"] == 0
    assert description["terminated"]["share"] == 0.0
    assert "advantage" in description


def test_environments_must_divide_evenly_into_minibatches() -> None:
    problem = "num_envs is 5, which is not divisible by ppo.minibatches 2: change one of them"
    with pytest.raises(OptionError, match=problem) as caught:
        make_trainer(train=replace(SIZES, num_envs=5))
    assert caught.value.config is TrainConfig
