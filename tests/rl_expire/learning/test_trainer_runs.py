"""Training on a tiny corridor: how runs end, and how they are saved and go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from rl_expire.learning.episode import Episode
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.schedule import SPAN_RATE_OF_ONE_LEVEL
from rl_expire.learning.train_loop import train
from rl_expire.learning.trainer import Trainer
from tests.rl_expire.learning.trainers import (
    GOAL,
    LENGTH,
    ROWS,
    SIZES,
    START,
    WINDOW,
    begin_forgetting,
    changed,
    effort_of,
    finish_window,
    make_trainer,
    names,
    stages,
    trainer_in,
)
from tests.support import copy_of, same_tree


def test_learning_rates_fall_to_zero_over_the_last_steps_and_come_back_with_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    effort_of(monkeypatch, 1.0)

    def make(total_steps: int) -> Trainer[Any]:
        trainer = make_trainer(method="never", train=replace(SIZES, total_steps=total_steps))
        trainer.schedule.config = replace(trainer.schedule.config, settle_steps=48)
        trainer.actor.take_episodes = list  # type: ignore[method-assign]
        return trainer

    trainer, rates, lrs = make(480), [], []
    train(trainer, report=lambda r: rates.append(r["learning_rate"]), save=lambda: None)
    assert trainer.finished
    full = trainer.learner.ppo.learning_rate
    assert rates == pytest.approx([full] * 28 + [full * 2 / 3, full / 3])
    assert (trainer.schedule.plan().rate, trainer.schedule.phase) == (0.0, "learn")
    longer = make(960)
    longer.load_state_dict(trainer.state_dict())
    same_tree(longer.state_dict(), trainer.state_dict())
    for _ in range(2):
        lrs.append(longer.update()["learning_rate"])
    assert lrs == [full, full]
    assert longer.learner.optimizer.param_groups[0]["lr"] == full


def test_a_checkpoint_holds_the_horizon() -> None:
    trainer = trainer_in("forgetting")
    trainer.recent.add([Episode(0, 0.0, 9, {})] * 64, None)
    trainer.update()
    name = "layers.0.lifetime.horizon.tested"
    state = trainer.state_dict()
    assert float(state["agent"][name]) > 0
    restored = make_trainer(start=GOAL)
    assert float(restored.agent.get_buffer(name)) == 0
    restored.load_state_dict(state)
    assert torch.equal(restored.agent.get_buffer(name), state["agent"][name])


def solve_always(trainer: Trainer[Any]) -> None:
    """Let every update report a full window of perfect episodes."""
    hardest = {"length": float(GOAL), "success": 1.0}
    perfect = [Episode(0, 1.0, 5, hardest)] * WINDOW
    trainer.actor.take_episodes = lambda: list(perfect)  # type: ignore[method-assign]


def test_a_solved_run_ends_before_its_budget_once_memory_has_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rl_expire.learning.memory_price.SETTLED_STEPS", 48)
    trainer = make_trainer(start=GOAL, train=replace(SIZES, total_steps=3200))
    solve_always(trainer)
    reports: list[dict[str, Any]] = []
    train(trainer, report=reports.append, save=lambda: None)
    assert trainer.schedule.phase == "end"
    assert trainer.schedule.forgetting
    assert trainer.steps < 3200
    assert trainer.steps - trainer.schedule.price.least_step >= 48
    assert [r["phase"] for r in reports[-2:]] == ["learn", "settle"]
    assert ["distillation" in r for r in reports[:3]] == [False, True, True]


@stages
def test_a_run_that_spent_its_steps_goes_on_when_it_is_given_more(stage: str) -> None:
    def make(total_steps: int) -> Trainer[Any]:
        return make_trainer(START[stage], train=replace(SIZES, total_steps=total_steps))

    trainer = make(48)
    if stage == "forgetting":
        begin_forgetting(trainer)
    assert train(trainer, report=lambda _: None, save=lambda: None)
    assert trainer.steps == 48
    longer = make(160)
    longer.load_state_dict(trainer.state_dict())
    same_tree(longer.state_dict(), trainer.state_dict())
    assert not longer.finished
    assert longer.schedule.forgetting == (stage == "forgetting")
    plan, full = trainer.schedule.plan(), longer.schedule.plan()
    assert (plan.rate, plan.entropy_cost, plan.span_rate) == (0.0, 0.0, 0.0)
    assert full.rate > 0 < full.entropy_cost
    assert full.span_rate == SPAN_RATE_OF_ONE_LEVEL * (stage == "forgetting")
    assert train(longer, report=lambda _: None, save=lambda: None)
    assert longer.steps == 160


@stages
def test_a_restored_trainer_continues_in_the_same_phase_at_the_same_level(stage: str) -> None:
    trainer = trainer_in(stage)
    trainer.update()
    assert trainer.schedule.phase == "learn"
    restored = make_trainer(start=START[stage])
    restored.load_state_dict(trainer.state_dict())
    assert not changed(restored, copy_of(trainer.agent))
    assert (restored.steps, restored.updates) == (trainer.steps, trainer.updates)
    assert restored.schedule.plan() == trainer.schedule.plan()
    assert restored.schedule.forgetting == (stage == "forgetting")
    level = restored.actor.envs.unwrapped.options.max_length  # pyright: ignore[reportAttributeAccessIssue]
    assert level == (GOAL if stage == "forgetting" else 6)
    before = copy_of(restored.agent)
    restored.update()
    updated = changed(restored, before)
    assert updated & names(restored, spans=False)
    assert bool(updated & names(restored, spans=True)) == (stage == "forgetting")


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


@stages
def test_a_new_learning_rate_applies_to_a_restored_run(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    effort_of(monkeypatch, 0.5)
    trainer = trainer_in(stage)
    restored = make_trainer(start=START[stage], learning_rate=0.005)
    restored.learner.forgetting = replace(restored.learner.forgetting, learning_rate=0.25)
    restored.load_state_dict(trainer.state_dict())
    rate = 0.5 * restored.schedule.plan().rate * 0.005
    restored.update()
    assert restored.learner.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    if stage == "forgetting":
        spans = restored.learner.span_optimizer.param_groups[0]["lr"]
        assert spans == pytest.approx(0.25 * SPAN_RATE_OF_ONE_LEVEL)


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


@stages
def test_a_loss_that_is_not_finite_stops_training_without_saving_and_describes_the_batch(
    stage: str,
) -> None:
    trainer, saves = make_trainer(start=GOAL, train=replace(SIZES, most_skipped=0)), []
    if stage == "forgetting":
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
