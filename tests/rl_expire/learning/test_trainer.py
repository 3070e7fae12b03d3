"""Training on a tiny corridor: its rollouts, levels and reports, and what learns in which phase."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from rl_expire.learning.episode import Episode
from rl_expire.learning.ppo import ppo_update
from rl_expire.learning.rollout import collect
from rl_expire.learning.schedule import SPAN_RATE_OF_ONE_LEVEL
from rl_expire.learning.train_loop import train
from rl_expire.learning.trainer import TrainConfig
from rl_expire.types import Rollout
from rl_expire.validate import OptionError
from tests.rl_expire.learning.trainers import (
    GOAL,
    LENGTH,
    NO_GRADIENT,
    ROWS,
    SIZES,
    WINDOW,
    actor_of,
    begin_forgetting,
    begin_settling,
    changed,
    effort_of,
    finish_window,
    make_trainer,
    names,
    spans_of,
)
from tests.support import copy_of


def test_a_run_takes_its_steps_and_reports_every_update() -> None:
    trainer, reports, saves = make_trainer(), [], []
    done = train(trainer, report=reports.append, save=lambda: saves.append(trainer.updates))
    assert done
    assert trainer.finished
    assert trainer.steps == 160
    assert [r["steps"] for r in reports] == [16 * n for n in range(1, 11)]
    assert saves == [4, 8, 10], "every 4 updates, and at the end"
    logged = {
        "phase",
        "level",
        "learned",
        "goal",
        "alpha",
        "learning_rate",
        "success",
        "success_longest",
        "kept/0",
    }
    assert logged | {"policy_loss", "approx_kl", "grad_norm", "span_other"} <= reports[-1].keys()
    assert all(r["alpha"] == 0 for r in reports)


def test_the_environments_have_the_level_of_the_curriculum() -> None:
    trainer = make_trainer()
    levels = [trainer.actor.envs.unwrapped.options.max_length]  # pyright: ignore[reportAttributeAccessIssue]
    for success in (1.0, 1.0, 0.0):
        finish_window(trainer, success)
        levels.append(trainer.actor.envs.unwrapped.options.max_length)  # pyright: ignore[reportAttributeAccessIssue]
    assert levels == [3, 6, 12, 6]


def test_rollouts_grow_with_the_curriculum() -> None:
    sizes = replace(SIZES, rollout_length=4, longest_rollout=16)
    trainer = make_trainer(method="never", train=sizes)
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
    trainer.schedule.steps = trainer.schedule.total_steps - 9 * trainer.train.num_envs
    assert trainer.rollout_length == 9, "they do not exceed what is left of the budget"
    trainer.schedule.steps = trainer.schedule.total_steps - 1
    assert trainer.rollout_length == 4, "but by less than the shortest one"


def test_while_learning_everything_but_the_spans_changes() -> None:
    trainer = make_trainer()
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    assert changed(trainer, before) >= names(trainer, spans=False) - NO_GRADIENT
    assert not changed(trainer, before) & names(trainer, spans=True)


def test_while_forgetting_all_weights_change_those_of_the_policy_and_the_spans() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    begin_forgetting(trainer)
    before = copy_of(trainer.agent)
    report = trainer.update()
    trainer.update()
    everything = names(trainer, spans=True) | names(trainer, spans=False)
    assert len(names(trainer, spans=True)) == 2
    assert changed(trainer, before) >= everything - NO_GRADIENT
    assert report["phase"] == "learn"
    assert report["alpha"] == trainer.learner.forgetting.alpha, "at the lowest price"
    assert {"distillation", "span_grad_norm", "kept/0", "policy_loss"} <= report.keys()


@pytest.mark.parametrize(
    ("planned", "choices", "rate", "passes"),
    [
        *((0.5, 0, 0.05, 1), (0.5, 3, 0.05, 1), (0.5, 4, 0.0625, 1), (0.5, 8, 0.125, 1)),
        *((0.5, 9, 0.28125, 1), (0.5, 24, 0.375, 3), (0.5, 25, 0.390625, 4), (0.5, 32, 0.5, 4)),
        *(
            (1.0, 64, 1.0, 4),
            (0.4, 64, 0.4, 4),
            (0.3, 64, 0.4, 3),
            (0.1, 64, 0.4, 1),
            (0, 64, 0, 1),
        ),
    ],
)
def test_the_policy_learns_less_from_a_rollout_of_few_choices(
    planned: float, choices: int, rate: float, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(start=GOAL, epochs=4)
    begin_forgetting(trainer)
    rollout = collect(actor_of(trainer), 17)
    valid = torch.ones(17, ROWS, dtype=torch.bool)
    valid[16] = False  # at the last steps, choices do not count
    choice = torch.zeros(17 * ROWS, dtype=torch.bool)
    choice[torch.randperm(16 * ROWS)[:choices]] = True
    choice[16 * ROWS :] = True
    rollout = replace(rollout, choice=choice.view(17, ROWS), valid=valid)
    calls: list[tuple[Any, float]] = []

    def improve(*args: Any, entropy_cost: float, **options: Any) -> dict[str, float]:
        calls.append((args[3], entropy_cost))
        return {}

    monkeypatch.setattr("rl_expire.learning.learner.ppo_update", improve)
    plan = replace(trainer.schedule.plan(), rate=planned)
    trainer.learner.update(rollout, plan, 2)
    ((config, entropy_cost),) = calls
    assert (config.epochs, config.minibatches, entropy_cost) == (passes, 2, plan.entropy_cost)
    rates = [o.param_groups[0]["lr"] for o in (trainer.learner.optimizer, spans_of(trainer))]
    spans = 0.5 * SPAN_RATE_OF_ONE_LEVEL
    assert rates == pytest.approx([rate * 0.01, spans]), "spans learn as fast as with many choices"


def test_impala_takes_one_pass_at_a_third_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    effort_of(monkeypatch, 0.5)
    trainer = make_trainer(start=GOAL, epochs=4, train=replace(SIZES, learner="impala"))
    plan = replace(trainer.schedule.plan(), rate=0.3)
    trainer.learner.update(collect(actor_of(trainer), 8), plan, 2)
    (step, *_) = {float(s["step"]) for s in trainer.learner.optimizer.state.values()}
    assert step == 2, "one step a minibatch"
    assert trainer.learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * 0.5 * 0.3 / 3)


@pytest.mark.parametrize("choices_only", [True, False])
def test_what_info_says_of_choices_can_be_ignored(choices_only: bool) -> None:
    trainer = make_trainer(start=GOAL, choices_only=choices_only)
    begin_forgetting(trainer)
    rollouts = []

    def spy(*args: Any, **options: Any) -> dict[str, float]:
        rollouts.extend(part for part in args if isinstance(part, Rollout))
        return ppo_update(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_expire.learning.learner.ppo_update", spy)
        report = trainer.update()
    assert [bool(rollout.choice.all()) for rollout in rollouts] == [not choices_only]
    assert (report["choices"] == ROWS * LENGTH) == (not choices_only)


def test_while_settling_the_learning_rate_falls_and_nothing_changes_that_lifetimes_depend_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    effort_of(monkeypatch, 1.0)
    trainer = make_trainer(start=GOAL)
    begin_settling(trainer)
    rates = []
    before = copy_of(trainer.agent)
    trainer.actor.take_episodes = list  # type: ignore[method-assign]
    for _ in range(4):
        report = trainer.update()
        assert (report["phase"], report["alpha"]) == ("settle", 0.0)
        rates.append(trainer.learner.optimizer.param_groups[0]["lr"])
    assert [rate / rates[0] for rate in rates] == pytest.approx([1.0, 0.75, 0.5, 0.25])
    policy = {n for n in names(trainer, spans=False) if not n.startswith("embedding.")}
    parameters = policy | {n for n, _ in trainer.agent.named_parameters()}
    assert changed(trainer, before) & parameters == policy - NO_GRADIENT


def test_the_joint_method_changes_spans_and_everything_else_together() -> None:
    trainer = make_trainer(method="joint")
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    both = names(trainer, spans=True) | names(trainer, spans=False)
    assert changed(trainer, before) >= both - NO_GRADIENT


def test_while_forgetting_the_horizon_is_the_length_of_a_long_episode() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    begin_forgetting(trainer)
    trainer.recent.clear()
    horizon = trainer.agent.get_buffer("layers.0.lifetime.horizon.tested")
    before = float(horizon)
    trainer.update()
    assert float(horizon) == before, "too few episodes have finished"
    trainer.recent.add([Episode(0, 0.0, steps, {}) for steps in [7] * 99 + [50]], None)
    trainer.update()
    assert float(horizon) == 7


@pytest.mark.parametrize("method", ["joint", "never"])
def test_other_methods_neither_distill_nor_set_a_horizon(method: str) -> None:
    trainer = make_trainer(start=GOAL, method=method)
    finish_window(trainer, 1.0)
    report = trainer.update()
    assert not trainer.schedule.forgetting
    assert "distillation" not in report
    assert report["alpha"] == 0
    assert float(trainer.agent.get_buffer("layers.0.lifetime.horizon.tested")) == 0
    assert trainer.schedule.phase == ("learn" if method == "joint" else "end")


def test_episodes_of_earlier_levels_are_not_reported() -> None:
    trainer = make_trainer()
    finish_window(trainer, 1.0)
    assert trainer.recent.summary(6)["episodes"] == 0
    finish_window(trainer, 0.75)
    assert trainer.recent.summary(6) == {
        **dict.fromkeys(("success", "success_longest", "return"), 0.75),
        "episodes": WINDOW,
    }


def test_environments_must_divide_evenly_into_minibatches() -> None:
    problem = "num_envs is 5, which is not divisible by ppo.minibatches 2: change one of them"
    with pytest.raises(OptionError, match=problem) as caught:
        make_trainer(train=replace(SIZES, num_envs=5))
    assert caught.value.config is TrainConfig
