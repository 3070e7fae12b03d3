"""The training loop on a tiny corridor: what learns when, what comes back, what is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
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
from rl_expire.learning.trainer import TrainConfig, Trainer, train
from tests.support import CPU, CountingAgent, copy_of

ROWS, LENGTH, GOAL, WINDOW, SETTLE = 4, 4, 12, 5, 1
SIZES = TrainConfig(num_envs=ROWS, rollout_length=LENGTH, total_steps=160, checkpoint_every=4)
UNSEEN = {"embedding.reward.weight"}
"""Learns nothing while no reward is seen, as in these few steps."""
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


def test_values_in_units_of_their_own_need_an_agent_that_has_such() -> None:
    class Counting(CountingAgent):
        pass

    with pytest.raises(ValueError, match=r"which Counting has not: leave it off"):
        make_trainer(agent=Counting(), normalize_values=True)


def play(trainer: Trainer[Any], success: float) -> None:
    """As if a window of the hardest episodes had just finished, and nothing else."""
    hardest = {"length": float(trainer.schedule.curriculum.level), "success": success}
    trainer.actor.episodes = [Episode(0, success, 5, hardest)] * WINDOW
    trainer._follow(trainer.steps)


def begin_forgetting(trainer: Trainer[Any]) -> None:
    """Solve the full task, and settle in the shortest time there is."""
    play(trainer, 1.0)
    assert trainer.schedule.phase == "settle"
    trainer.schedule.phase_from -= SETTLE
    play(trainer, 1.0)
    assert trainer.schedule.phase == "forget"


def moved(trainer: Trainer[Any], before: dict[str, torch.Tensor]) -> set[str]:
    """The names of the weights that are not as before."""
    after = trainer.agent.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def names(trainer: Trainer[Any], *, spans: bool) -> set[str]:
    """The parameters that decide spans, or all the others."""
    every = [name for name, _ in trainer.agent.named_parameters()]
    return {name for name in every if ("lifetime" in name) == spans}


def test_a_run_takes_the_steps_it_was_given_and_reports_every_update() -> None:
    trainer, reports, saves = make_trainer(), [], []
    done = train(trainer, report=reports.append, save=lambda: saves.append(trainer.updates))
    assert done
    assert trainer.finished
    assert trainer.steps == 160
    assert [r["steps"] for r in reports] == [16 * n for n in range(1, 11)]
    assert saves == [4, 8, 10], "every 4 updates, and at the end"
    told = {"phase", "level", "alpha", "learning_rate", "success", "success_longest", "kept/0"}
    assert told | {"policy_loss", "approx_kl", "grad_norm", "span_other"} <= reports[-1].keys()
    assert all(r["alpha"] == 0 for r in reports)


def test_the_environments_follow_the_curriculum() -> None:
    trainer = make_trainer()
    levels = [trainer.envs.unwrapped.options.max_length]  # pyright: ignore[reportAttributeAccessIssue]
    for success in (1.0, 1.0, 0.0):
        play(trainer, success)
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


def test_after_a_retreat_the_weights_and_moments_that_mastered_the_level_are_back() -> None:
    trainer = make_trainer()
    trainer.update()
    play(trainer, 1.0)
    mastered = copy_of(trainer.agent)
    moments = trainer.optimizer.state_dict()["state"][0]["exp_avg"].clone()
    trainer.update()
    assert moved(trainer, mastered)
    play(trainer, 0.0)
    assert trainer.schedule.curriculum.level == 3
    assert not moved(trainer, mastered)
    assert torch.equal(trainer.optimizer.state_dict()["state"][0]["exp_avg"], moments)
    trainer.update()
    assert moved(trainer, mastered), "and they go on learning"


def test_while_learning_the_spans_stay_and_all_else_moves() -> None:
    trainer = make_trainer()
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    assert moved(trainer, before) >= names(trainer, spans=False) - UNSEEN
    assert not moved(trainer, before) & names(trainer, spans=True)


def test_while_forgetting_the_features_that_lifetimes_are_computed_from_stay() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    begin_forgetting(trainer)
    before = copy_of(trainer.agent)
    report = trainer.update()
    trainer.update()
    features = {n for n, _ in trainer.agent.named_parameters() if n.startswith("embedding")}
    everything = names(trainer, spans=True) | names(trainer, spans=False)
    assert moved(trainer, before) == everything - features
    assert (report["phase"], report["alpha"]) == ("forget", trainer.forgetting.alpha)
    assert {"distillation", "span_grad_norm", "kept/0"} <= report.keys()


def test_forgetting_begins_with_spans_that_are_centred_but_not_changed() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    before = copy_of(trainer.agent)
    begin_forgetting(trainer)
    assert moved(trainer, before) == {
        "layers.0.lifetime.head.center",
        "layers.0.lifetime.head.scale",
    }
    spans = trainer.actor.memory.layers[0].span
    torch.testing.assert_close(spans[spans.isfinite()].unique(), torch.tensor([10.0]))


def test_the_joint_method_moves_spans_and_all_else_at_once() -> None:
    trainer = make_trainer(method="joint")
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    both = names(trainer, spans=True) | names(trainer, spans=False)
    assert moved(trainer, before) >= both - UNSEEN
    play(trainer, 1.0)
    assert trainer.schedule.phase == "learn"


def test_the_forgetting_phase_ends_the_run() -> None:
    trainer = make_trainer(start=GOAL)
    begin_forgetting(trainer)
    train(trainer, report=lambda _: None, save=lambda: None)
    assert trainer.steps == 64


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_trainer_goes_on_from_a_checkpoint(phase: str) -> None:
    start = GOAL if phase == "forget" else 3
    trainer = make_trainer(start=start)
    trainer.update()
    begin_forgetting(trainer) if phase == "forget" else play(trainer, 1.0)
    trainer.update()
    assert trainer.schedule.phase == phase
    restored = make_trainer(start=start)
    restored.load_state_dict(trainer.state_dict())
    assert not moved(restored, copy_of(trainer.agent))
    assert (restored.steps, restored.updates) == (trainer.steps, trainer.updates)
    assert restored.schedule.plan() == trainer.schedule.plan()
    level = restored.envs.unwrapped.options.max_length  # pyright: ignore[reportAttributeAccessIssue]
    assert level == (GOAL if phase == "forget" else 6)
    before = copy_of(restored.agent)
    restored.update()
    moving = moved(restored, before)
    assert moving & names(restored, spans=False)
    assert bool(moving & names(restored, spans=True)) == (phase == "forget")


def test_the_weights_for_a_collapse_survive_a_checkpoint() -> None:
    trainer = make_trainer()
    trainer.update()
    play(trainer, 1.0)
    mastered = copy_of(trainer.agent)
    trainer.update()
    restored = make_trainer()
    restored.load_state_dict(trainer.state_dict())
    play(restored, 0.0)
    assert not moved(restored, mastered)


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_learning_rate_given_anew_holds_after_a_checkpoint_was_loaded(phase: str) -> None:
    start = GOAL if phase == "forget" else 3
    trainer = make_trainer(start=start)
    trainer.update()
    begin_forgetting(trainer) if phase == "forget" else play(trainer, 1.0)
    restored = make_trainer(start=start, learning_rate=0.005)
    restored.forgetting = replace(restored.forgetting, learning_rate=0.25)
    restored.load_state_dict(trainer.state_dict())
    restored.update()
    if phase == "learn":
        rate = restored.schedule.plan().rate * 0.005
        assert restored.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    else:
        assert restored.span_optimizer.param_groups[0]["lr"] == 0.25


def test_told_to_stop_it_saves_between_updates_and_says_that_it_was_not_the_end() -> None:
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


def test_slow_updates_are_saved_by_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, saves = make_trainer(), []
    monkeypatch.setattr("rl_expire.learning.trainer.monotonic", lambda: 30.0 * trainer.updates)
    train(trainer, report=lambda _: None, save=lambda: saves.append(trainer.updates))
    assert saves == [2, 4, 6, 8, 10, 10]


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_a_loss_that_is_not_finite_stops_training_unsaved_and_describes_the_batch(
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
    told = caught.value.description
    assert told["value"]["nonfinite"] == told["value"]["entries"] == LENGTH * ROWS // 2
    assert told["logits"]["nonfinite"] == 0
    assert told["reward"]["nonfinite"] == 0
    assert told["terminated"]["share"] == 0.0
    assert "advantage" in told


def test_environments_that_do_not_divide_into_minibatches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--train.num-envs 5 .* --ppo.minibatches 2"):
        make_trainer(train=replace(SIZES, num_envs=5))
