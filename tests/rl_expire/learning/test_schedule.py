"""The schedule: learn until the full task is solved, then forget, at a price the score sets."""

import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.episode import Episode
from rl_expire.learning.schedule import LearningConfig, Recent, Schedule

GOAL, WINDOW = 32, 10
LEARNING = LearningConfig(
    solved_at=0.9,
    settle_steps=50,
    entropy_start=0.04,
    entropy_end=0.01,
    rate_end=0.25,
    rate_after_collapse=0.5,
)


def schedule(start: int = GOAL, window: int = WINDOW, **options: Any) -> Schedule:
    levels = [Level(step, {}) for step in ladder(start, GOAL, 2.0)]
    curriculum = Curriculum(levels, CurriculumConfig(window=window))
    learning = replace(LEARNING, patience=options.pop("patience", None))
    sizes = {"total_steps": 10_000, "forget_steps": 1000, "tolerance": 0.1} | options
    return Schedule(curriculum, learning, **sizes)


def episodes(level: int, successes: int, count: int = WINDOW) -> list[tuple[float, float]]:
    return [(level, float(n < successes)) for n in range(count)]


def forgetting(score: float = 1.0, window: int = WINDOW, **options: Any) -> Schedule:
    """A schedule that has begun to forget at step 150, at `score`."""
    g = schedule(window=window, **options)
    g.observe(100, episodes(GOAL, round(score * window), window))
    g.observe(150, [])
    assert (g.phase, g.reference) == ("forget", score)
    return g


def test_learns_then_settles_once_the_full_task_is_solved_then_forgets_then_ends() -> None:
    g = schedule(start=16)
    phases = []
    told = [(50, 16, 10), (100, GOAL, 8), (150, GOAL, 9), (199, GOAL, 9), (200, GOAL, 9)]
    for steps, level, successes in told:
        g.observe(steps, episodes(level, successes))
        phases.append(g.plan().phase)
    assert phases == ["learn", "learn", "settle", "settle", "forget"]
    assert (g.solved_at, g.reference) == (150, 0.9)
    g.observe(1199, [])
    assert g.phase == "forget"
    g.observe(1200, [])
    assert (g.phase, g.remaining_steps) == ("end", 0)


def test_a_task_solved_by_luck_is_learned_on() -> None:
    g = schedule()
    g.observe(100, episodes(GOAL, 9))
    g.observe(150, episodes(GOAL, 8))
    assert (g.phase, g.plan().rate, g.solved_at) == ("learn", 0.25, 100)


def test_a_collapse_while_settling_leads_back_to_learning() -> None:
    g = schedule(start=16)
    g.observe(50, episodes(16, 10))
    g.observe(100, episodes(GOAL, 9))
    assert g.observe(120, episodes(GOAL, 2)) == "retreat"
    assert (g.phase, g.curriculum.level) == ("learn", 16)


def test_rate_and_entropy_fall_to_nothing_while_settling() -> None:
    g = schedule()
    g.observe(100, episodes(GOAL, 10))
    plans = []
    for steps in (100, 120, 145):
        g.observe(steps, [])
        plans.append(g.plan())
    assert [p.rate for p in plans] == pytest.approx([0.25, 0.6 * 0.25, 0.1 * 0.25])
    assert [p.entropy_cost for p in plans] == pytest.approx([0.01, 0.006, 0.001])
    assert all(p.alpha_share == 0 for p in plans)


def test_with_nothing_to_forget_it_ends_once_settled() -> None:
    g = schedule(forget_steps=0)
    g.observe(100, episodes(GOAL, 10))
    assert (g.phase, g.remaining_steps) == ("settle", 50)
    g.observe(150, [])
    assert (g.phase, g.remaining_steps) == ("end", 0)


def test_without_a_forgetting_phase_learning_goes_on_to_the_end() -> None:
    g = schedule(forget_steps=None)
    g.observe(100, episodes(GOAL, 10))
    assert (g.plan().phase, g.solved_at) == ("learn", 100)
    assert g.plan().alpha_share == 0
    g.observe(200, episodes(GOAL, 10))
    assert (g.solved_at, g.remaining_steps) == (100, 9800), "the first time counts"


def test_rate_and_entropy_fall_geometrically_with_the_curriculum() -> None:
    g = schedule(start=8)
    plans = {}
    for index in range(3):
        g.curriculum.go_to(index)
        plans[g.curriculum.level] = g.plan()
    assert list(plans) == [8, 16, 32]
    assert [p.rate for p in plans.values()] == pytest.approx([1, 0.5, 0.25])
    assert [p.entropy_cost for p in plans.values()] == pytest.approx([0.04, 0.02, 0.01])
    assert all(p.alpha_share == 0 for p in plans.values()), "learning costs no memory"


def test_a_collapse_lowers_the_rate_until_the_level_is_mastered_again() -> None:
    g = schedule(start=8)
    rates, moves = [], []
    for level, successes in [(8, 10), (16, 0), (8, 10), (16, 10), (32, 5)]:
        moves.append(g.observe(0, episodes(level, successes)))
        rates.append(g.rate)
    assert moves == ["advance", "retreat", "advance", "advance", "retreat"]
    assert rates == [1.0, 0.5, 1.0, 1.0, 0.5], "and never above the first"


def test_where_the_full_task_is_nearly_mastered_for_long_rate_and_entropy_calm_down() -> None:
    g = schedule(patience=100)
    told = [(50, 8), (149, 8), (150, 8), (250, 8), (300, 6), (400, 8), (499, 8), (500, 8)]
    plans = []
    for steps, successes in told:
        g.observe(steps, episodes(GOAL, successes))
        plans.append((g.plan().rate, g.plan().entropy_cost))
    calm = [1, 1, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125]
    assert plans == [(0.25 * x, pytest.approx(0.01 * x)) for x in calm]


def test_below_the_full_task_and_without_patience_nothing_calms_down() -> None:
    for g in (schedule(), schedule(start=16, patience=100)):
        level, before = g.curriculum.level, g.plan()
        for steps in range(0, 1000, 50):
            g.observe(steps, episodes(level, 8))
        assert g.plan() == before


def test_what_is_mastered_but_never_solved_is_left_at_that_once_it_is_calm_enough() -> None:
    for window, successes, phase in ((20, 19, "settle"), (20, 18, "learn")):  # to advance: 19
        g = schedule(window=window, patience=100)
        g.config = replace(g.config, solved_at=0.99)
        for steps in (0, 100, 200, 299):
            g.observe(steps, episodes(GOAL, successes, window))
            assert g.phase == "learn"
        g.observe(300, episodes(GOAL, successes, window))
        assert (g.calm, g.phase, g.solved_at) == (0.125, phase, None)
        g.observe(350, episodes(GOAL, successes, window))
        assert g.phase == ("forget" if phase == "settle" else "learn")


def test_a_move_undoes_the_calm() -> None:
    g = schedule(start=16, patience=100)
    g.observe(50, episodes(16, 10))
    for steps in (100, 150, 250):
        g.observe(steps, episodes(GOAL, 8))
    assert g.plan().rate == 0.125
    assert g.observe(300, episodes(GOAL, 2)) == "retreat"
    assert g.plan().rate == 0.5, "what a collapse leaves"


def test_nothing_moves_the_curriculum_while_forgetting() -> None:
    g = forgetting()
    assert g.observe(200, episodes(GOAL, 0)) is None
    assert (g.phase, g.curriculum.level, g.rate) == ("forget", GOAL, 1.0)


@pytest.mark.parametrize(
    ("done", "rate"), [(0, 1.0), (0.6, 1.0), (0.7, 0.75), (0.8, 0.5), (0.96, 0.1)]
)
def test_lifetimes_come_to_rest_and_are_paid_for_to_the_end(done: float, rate: float) -> None:
    g = forgetting()
    g.observe(150 + round(1000 * done), [])
    assert g.plan().span_rate == pytest.approx(rate)
    assert g.plan().alpha_share == 1.0


@pytest.mark.parametrize(
    ("successes", "share"),
    # 2 % lost of the reference 1.0, with tolerance 0.1: 1 - 0.02 / 0.1, and so on.
    [(50, 1.0), (49, 0.8), (47, 0.4), (45, 0.0), (40, 0.0)],
)
def test_alpha_is_withheld_in_proportion_to_the_score_lost(successes: int, share: float) -> None:
    g = forgetting(window=50)
    g.observe(151, episodes(GOAL, successes, 50))
    assert g.plan().alpha_share == pytest.approx(share)


def test_a_score_above_the_reference_does_not_raise_alpha_above_its_share() -> None:
    g = forgetting(0.9)
    g.observe(151, episodes(GOAL, 10))
    assert g.plan().alpha_share == 1.0


def test_what_remains_is_bounded_by_the_phases_and_by_the_budget() -> None:
    g = schedule()
    assert g.remaining_steps == 10_000
    g.observe(100, episodes(GOAL, 10))
    assert g.remaining_steps == 50 + 1000
    g.observe(150, [])
    assert g.remaining_steps == 1000
    g = schedule(total_steps=500)
    g.observe(100, episodes(GOAL, 10))
    assert g.remaining_steps == 400
    g.observe(600, [])
    assert g.remaining_steps == 0, "never below"


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("through", [lambda s: json.loads(json.dumps(s)), through_a_file])
@pytest.mark.parametrize("phase", ["learn", "settle", "forget"])
def test_goes_on_from_its_state_as_if_nothing_had_happened(phase: str, through: Any) -> None:
    g = schedule(start=8)
    for level, successes in [(8, 10), (16, 0), (8, 10), (16, 10)]:
        g.observe(60, episodes(level, successes))
    g.observe(120, episodes(GOAL, 8 if phase == "learn" else 10))
    if phase == "forget":
        g.observe(170, [])
    g.observe(800 if phase == "forget" else 150, episodes(GOAL, 8))
    assert g.phase == phase
    restored = schedule(start=8)
    restored.load_state_dict(through(g.state_dict()))
    assert restored.plan() == g.plan()
    assert restored.remaining_steps == g.remaining_steps
    assert restored.solved_at == g.solved_at
    moved = [x.observe(900, episodes(GOAL, 2)) for x in (g, restored)]
    assert moved == ([None] * 2 if phase == "forget" else ["retreat"] * 2)
    assert repr(restored.state_dict()) == repr(g.state_dict()), "repr, for NaN is not NaN"


def test_recent_success_tells_the_longest_apart() -> None:
    recent = Recent(window=4)
    assert all(math.isnan(value) for value in recent.summary(10).values())
    told = [(20, 0.0), (5, 1.0), (9, 0.0), (10, 1.0), (3, 1.0)]
    recent.add(
        [Episode(0, 2 * s, 1, {"length": float(d), "success": s}) for d, s in told], "length"
    )
    summary = recent.summary(10)
    assert summary == {"success": 0.75, "success_longest": 0.5, "return": 1.5}
