"""Training on a tiny corridor: how forgetting begins, and what a retreat does to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from rl_expire.learning.episode import Episode
from rl_expire.learning.ppo import ppo_update
from rl_expire.learning.trainer import Trainer
from tests.rl_expire.learning.trainers import (
    GOAL,
    LENGTH,
    ROWS,
    actor_of,
    begin_forgetting,
    changed,
    finish_window,
    make_trainer,
    spans_of,
)
from tests.support import copy_of, same_tree


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


def test_the_span_penalty_grows_with_the_price() -> None:
    trainer = make_trainer(start=GOAL)
    begin_forgetting(trainer)
    trainer.schedule.price.factor = 8.0
    alphas = []

    def spy(*args: Any, forgetting: Any, **options: Any) -> dict[str, float]:
        alphas.append(forgetting.alpha)
        return ppo_update(*args, forgetting=forgetting, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_expire.learning.learner.ppo_update", spy)
        report = trainer.update()
    assert alphas == [report["alpha"]] == [8 * trainer.learner.forgetting.alpha]


def head_spans(trainer: Trainer[Any]) -> torch.Tensor:
    """Return the spans of all memories held, as the head computes them."""
    slots = actor_of(trainer).memory.layers[0]
    return trainer.agent.layers[0].lifetime.head(slots.hidden[slots.span.isfinite()])  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue, reportCallIssue]


def test_forgetting_starts_with_calibrated_spans_of_unchanged_length() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    before = copy_of(trainer.agent)
    steps = trainer.steps
    begin_forgetting(trainer)
    lifetime = "layers.0.lifetime"
    assert changed(trainer, before) == {f"{lifetime}.head.center", f"{lifetime}.head.scale"}
    assert trainer.steps == steps + ROWS * LENGTH, "the rollout on which they are calibrated"
    spans = head_spans(trainer)
    assert len(spans) >= ROWS
    torch.testing.assert_close(spans.unique(), torch.tensor([10.0]))


def test_weights_from_before_forgetting_are_dropped_when_it_begins() -> None:
    """Their spans are not calibrated; those kept with the level just mastered are."""
    trainer = make_trainer()
    trainer.update()
    finish_window(trainer, 1.0)
    assert (len(trainer.learner.mastered), trainer.schedule.forgetting) == (1, False)
    trainer.update()
    finish_window(trainer, 1.0)
    assert (trainer.schedule.curriculum.level, trainer.schedule.forgetting) == (GOAL, True)
    (kept,) = trainer.learner.mastered
    begun = copy_of(trainer.agent)
    same_tree(kept["agent"], begun)
    assert float(kept["agent"]["layers.0.lifetime.head.scale"]) != 1.0
    assert float(kept["agent"]["layers.0.lifetime.head.center"].abs().sum()) > 0
    trainer.update()
    later = changed(trainer, begun)
    finish_window(trainer, 0.0)
    assert later
    assert changed(trainer, begun) <= {"layers.0.lifetime.horizon.tested"}
    assert (trainer.schedule.curriculum.level, trainer.schedule.forgetting) == (6, True)
    assert trainer.learner.mastered == []
    trainer.update()
    before = copy_of(trainer.agent)
    finish_window(trainer, 0.0)
    assert trainer.schedule.curriculum.level == 3
    assert not changed(trainer, before), "no earlier weights are left"


def test_a_retreat_clears_the_momentum_of_the_spans() -> None:
    trainer = make_trainer()
    trainer.update()
    finish_window(trainer, 1.0)
    finish_window(trainer, 1.0)
    assert trainer.schedule.forgetting
    trainer.update()
    momenta = [state["momentum_buffer"] for state in spans_of(trainer).state.values()]
    assert len(momenta) == 2
    assert any(float(x.abs().sum()) > 0 for x in momenta)
    finish_window(trainer, 0.0)
    assert trainer.schedule.curriculum.level == 6
    assert not spans_of(trainer).state
    trainer.update()
    assert len(spans_of(trainer).state) == 2, "and they go on learning"


def test_the_horizon_is_set_only_while_forgetting() -> None:
    trainer = make_trainer(start=GOAL)
    tested = []
    for n in range(5):
        if n == 2:
            begin_forgetting(trainer)
        trainer.recent.add([Episode(0, 0.0, 10 * (n + 1), {})] * 64, None)
        trainer.update()
        tested.append(float(trainer.agent.get_buffer("layers.0.lifetime.horizon.tested")))
    assert tested[:2] == [0.0, 0.0]
    assert 30 <= tested[2] < tested[3] < tested[4] <= 50
