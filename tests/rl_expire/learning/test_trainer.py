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
from rl_expire.learning.memory_price import SETTLED_STEPS, MemoryUse
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.rollout import collect
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.train_loop import train
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.types import Rollout
from rl_expire.validate import OptionError
from tests.support import CPU, copy_of, same_tree

ROWS, LENGTH, GOAL, WINDOW, SETTLE = 4, 4, 12, 5, 1
SIZES = TrainConfig(num_envs=ROWS, rollout_length=LENGTH, total_steps=160, checkpoint_every=4)
NO_GRADIENT = {"embedding.reward.weight"}
"""Has no gradient while no reward is seen, as in these few steps."""
AGENT = ExpireSpanConfig(width=8, heads=2, max_span=20.0, initial_fraction=0.5, ramp=4.0)


def make_trainer(
    start: int = 3,
    method: Any = "distillation",
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
    forgetting = ForgettingConfig(method=method, learning_rate=0.5)
    levels = [Level(n, {"max_length": n}) for n in ladder(start, GOAL, 2.0)]
    schedule = Schedule(
        Curriculum(levels, CurriculumConfig(window=WINDOW)),
        LearningConfig(settle_steps=SETTLE),
        total_steps=train.total_steps,
        method=method,
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
    trainer._follow_schedule(trainer.steps, MemoryUse(3.0, 0.0, 100.0))


def begin_forgetting(trainer: Trainer[Any]) -> None:
    """Solve the full task, from which on lifetimes learn."""
    assert not trainer.schedule.forgetting
    finish_window(trainer, 1.0)
    assert (trainer.schedule.phase, trainer.schedule.forgetting) == ("learn", True)


def begin_settling(trainer: Trainer[Any]) -> None:
    """Forget, with a memory that has settled, and settle for 64 steps."""
    begin_forgetting(trainer)
    trainer.schedule.price.least_length = trainer.schedule.price.settled_length = 0.0
    trainer.schedule.price.good_steps = float(SETTLED_STEPS)
    trainer.schedule.config = replace(trainer.schedule.config, settle_steps=64)
    trainer.schedule.total_steps = 640
    finish_window(trainer, 1.0)
    assert trainer.schedule.phase == "settle"


START = {"learn": 3, "forgetting": GOAL}
"""First level of the curriculum of `trainer_in`."""
stages = pytest.mark.parametrize("stage", START)


def trainer_in(stage: str) -> Trainer[Any]:
    """Return a trainer after an update; while learning the task alone, at the second level."""
    trainer = make_trainer(start=START[stage])
    trainer.update()
    begin_forgetting(trainer) if stage == "forgetting" else finish_window(trainer, 1.0)
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
    levels = [trainer.envs.unwrapped.options.max_length]  # pyright: ignore[reportAttributeAccessIssue]
    for success in (1.0, 1.0, 0.0):
        finish_window(trainer, success)
        levels.append(trainer.envs.unwrapped.options.max_length)  # pyright: ignore[reportAttributeAccessIssue]
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
    ("choices", "effort", "epochs"),
    [
        *((0, 0.1, 1), (3, 0.1, 1), (4, 0.125, 1), (8, 0.25, 1), (9, 0.28125, 2)),
        *((24, 0.75, 3), (25, 0.78125, 4), (32, 1.0, 4), (64, 1.0, 4)),
    ],
)
def test_the_policy_learns_less_from_a_rollout_of_few_choices(
    choices: int, effort: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(start=GOAL, epochs=4)
    begin_forgetting(trainer)
    rollout = collect(trainer.actor, 17)
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
    plan = replace(trainer.schedule.plan(), rate=0.5)
    trainer.learner.update(rollout, plan, 2)
    ((config, entropy_cost),) = calls
    assert (config.epochs, config.minibatches, entropy_cost) == (epochs, 2, plan.entropy_cost)
    rates = [o.param_groups[0]["lr"] for o in (trainer.learner.optimizer, spans_of(trainer))]
    assert rates == pytest.approx([effort * 0.5 * 0.01, 0.5]), "spans learn at their full rate"


def spans_of(trainer: Trainer[Any]) -> torch.optim.Optimizer:
    """Return the optimizer of the spans."""
    return trainer.learner.span_optimizer


def effort_of(monkeypatch: pytest.MonkeyPatch, effort: float) -> None:
    """Let every rollout have as many choices as lead to this effort."""
    monkeypatch.setattr("rl_expire.learning.learner._effort", lambda rollout: effort)


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


def test_while_settling_all_learning_rates_fall_and_everything_still_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    effort_of(monkeypatch, 1.0)
    trainer = make_trainer(start=GOAL)
    begin_settling(trainer)
    rates = []
    before = copy_of(trainer.agent)
    trainer.actor.take_episodes = list  # type: ignore[method-assign]
    for _ in range(4):
        assert trainer.update()["phase"] == "settle"
        optimizers = trainer.learner.optimizer, trainer.learner.span_optimizer
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
    first = rates[0]
    assert first[1] == 0.5
    shares = [[rate / full for rate, full in zip(pair, first, strict=True)] for pair in rates]
    assert shares == [[pytest.approx(x)] * 2 for x in (1.0, 0.75, 0.5, 0.25)]
    everything = names(trainer, spans=True) | names(trainer, spans=False)
    assert changed(trainer, before) >= everything - NO_GRADIENT


def head_spans(trainer: Trainer[Any]) -> torch.Tensor:
    """Return the spans of all memories held, as the head computes them."""
    slots = trainer.actor.memory.layers[0]
    return trainer.agent.layers[0].lifetime.head(slots.hidden[slots.span.isfinite()])  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue, reportCallIssue]


def test_forgetting_starts_with_calibrated_spans_of_unchanged_length() -> None:
    trainer = make_trainer(start=GOAL)
    trainer.update()
    before = copy_of(trainer.agent)
    steps = trainer.steps
    begin_forgetting(trainer)
    lifetime = "layers.0.lifetime"
    assert changed(trainer, before) == {
        *(f"{lifetime}.head.center", f"{lifetime}.head.scale", f"{lifetime}.horizon.tested")
    }
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


def test_the_greatest_age_is_recorded_only_while_forgetting() -> None:
    trainer = make_trainer(start=GOAL)
    oldest, tested = [], []
    for n in range(5):
        if n == 2:
            begin_forgetting(trainer)
        trainer.update()
        oldest.append(float(trainer.actor.memory.clock.max()))
        tested.append(float(trainer.agent.get_buffer("layers.0.lifetime.horizon.tested")))
    assert tested[:2] == [0.0, 0.0]
    assert min(oldest[2:]) > 0
    assert tested[2:] == sorted(tested[2:])
    assert all(age <= most for age, most in zip(oldest[2:], tested[2:], strict=True))
    assert tested[-1] <= 3 * GOAL + 20, "no episode is longer"


def test_a_checkpoint_holds_the_greatest_age() -> None:
    trainer = trainer_in("forgetting")
    trainer.update()
    name = "layers.0.lifetime.horizon.tested"
    state = trainer.state_dict()
    assert float(state["agent"][name]) > 0
    restored = make_trainer(start=GOAL)
    assert float(restored.agent.get_buffer(name)) == 0
    restored.load_state_dict(state)
    assert torch.equal(restored.agent.get_buffer(name), state["agent"][name])


def test_the_joint_method_changes_spans_and_everything_else_together() -> None:
    trainer = make_trainer(method="joint")
    before = copy_of(trainer.agent)
    for _ in range(3):
        trainer.update()
    both = names(trainer, spans=True) | names(trainer, spans=False)
    assert changed(trainer, before) >= both - NO_GRADIENT


@pytest.mark.parametrize("method", ["joint", "never"])
def test_other_methods_neither_distill_nor_record_ages(method: str) -> None:
    trainer = make_trainer(start=GOAL, method=method)
    finish_window(trainer, 1.0)
    report = trainer.update()
    assert not trainer.schedule.forgetting
    assert "distillation" not in report
    assert report["alpha"] == 0
    assert float(trainer.agent.get_buffer("layers.0.lifetime.horizon.tested")) == 0
    assert trainer.schedule.phase == ("learn" if method == "joint" else "end")


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


def test_episodes_of_earlier_levels_are_not_reported() -> None:
    trainer = make_trainer()
    finish_window(trainer, 1.0)
    assert trainer.recent.summary(6)["episodes"] == 0
    finish_window(trainer, 0.75)
    assert trainer.recent.summary(6) == {
        **dict.fromkeys(("success", "success_longest", "return"), 0.75),
        "episodes": WINDOW,
    }


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
    assert full.span_rate == float(stage == "forgetting")
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
    level = restored.envs.unwrapped.options.max_length  # pyright: ignore[reportAttributeAccessIssue]
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


def test_environments_must_divide_evenly_into_minibatches() -> None:
    problem = "num_envs is 5, which is not divisible by ppo.minibatches 2: change one of them"
    with pytest.raises(OptionError, match=problem) as caught:
        make_trainer(train=replace(SIZES, num_envs=5))
    assert caught.value.config is TrainConfig
