"""Recall and precision of memory, by hand and against a loop over sets of steps."""

import math

import numpy as np
import pytest
import torch

from agents import ExpireSpanConfig, ExpireTransformer
from rl_expire.scoring.recall import RecallMeter
from rl_expire.types import LayerView
from tests.support import ACTIONS, VECTOR, random_steps


def view(ages: list[list[int]]) -> LayerView:
    """A layer with memories of these ages, one list per environment; -1 is a free slot."""
    age = torch.tensor(ages)
    held = age >= 0
    weight = held.float()
    return LayerView(age, weight, held, weight, weight.unsqueeze(1), 0)


def flags(*values: int) -> np.ndarray:
    return np.array(values, bool)


def test_one_episode_by_hand() -> None:
    """Steps 0 and 2 are marked; at the decision, step 4, the steps 0, 3 and 4 are held."""
    recall = RecallMeter(1)
    for step in range(5):
        held = view([[0, 1, 4]] if step == 4 else [[0, -1, -1]])
        recall.add([held], flags(step == 0), flags(step in (0, 2)), flags(step == 4))
    assert recall.recall == [1 / 2, 1 / 2]
    assert recall.precision == [1 / 2, 1 / 2]


def test_the_same_memories_have_the_same_precision_whatever_the_agents_ramp() -> None:
    """Two agents that hold everything for six steps, one with a long and one with no ramp."""
    precisions = []
    for ramp, span in [(4.0, 2.0), (1.0, 5.0)]:
        config = ExpireSpanConfig(
            width=8, heads=1, max_span=2 * span, initial_fraction=0.5, ramp=ramp
        )
        agent = ExpireTransformer(VECTOR, ACTIONS, config)
        memory, recall = agent.initial_memory(1), RecallMeter(1)
        steps = random_steps(10, 1, first=[(0, 0)])
        for t in range(10):
            _, memory = agent.act(steps.map(lambda x, t=t: x[t]), memory)
            recall.add(agent.view(memory), flags(t == 0), flags(t == 4), flags(t == 9))
        precisions.append(recall.precision)
    assert precisions[0] == precisions[1]
    assert 0 < precisions[0][0] < 1


def test_each_layer_and_all_layers_together() -> None:
    """Steps 0, 1 and 2 are marked; one layer holds 0 and 3, the other 1 and 3."""
    recall = RecallMeter(1)
    for step in range(5):
        last = step == 4
        layers = [view([[1, 4]]), view([[1, 3]])] if last else [view([[0, -1]])] * 2
        recall.add(layers, flags(step == 0), flags(step < 3), flags(last))
    assert recall.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert recall.precision == pytest.approx([1 / 2, 1 / 2, 2 / 3])


def test_marks_of_the_previous_episode_do_not_count() -> None:
    recall = RecallMeter(1)
    for first, marked, decides in ((1, 1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 1)):
        recall.add([view([[0, 1]])], flags(first), flags(marked), flags(decides))
    assert all(math.isnan(share) for share in recall.recall)
    assert recall.precision == [0.0, 0.0]


def test_the_observation_of_the_decision_itself_does_not_count() -> None:
    recall = RecallMeter(1)
    recall.add([view([[0]])], flags(1), flags(1), flags(1))
    assert all(math.isnan(share) for share in recall.recall)


def test_without_memory_there_are_no_numbers_and_without_decisions_they_are_nan() -> None:
    nothing, undecided = RecallMeter(2), RecallMeter(2)
    nothing.add([], flags(1, 1), flags(1, 0), flags(1, 1))
    undecided.add([view([[0], [0]])], flags(1, 1), flags(1, 0), flags(0, 0))
    assert nothing.recall == nothing.precision == []
    assert all(math.isnan(share) for share in undecided.recall + undecided.precision)
    assert len(undecided.recall) == len(undecided.precision) == 2


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_loop_over_sets_of_steps(seed: int) -> None:
    """Random memories in three environments, over episodes of about 100 steps."""
    random = np.random.default_rng(seed)
    rows, slots = 3, 20
    recall = RecallMeter(rows)
    time, marks = [-1] * rows, [set() for _ in range(rows)]
    marked = hits = held_count = 0
    for _ in range(300):
        is_first = (random.random(rows) < 0.01) | (np.array(time) < 0)
        time = [0 if first else t + 1 for first, t in zip(is_first, time, strict=True)]
        ages = [
            random.permutation(np.r_[0:200])[:slots].tolist()
            for _ in range(rows)  # some of them from before the episode: they must not count
        ]
        now_marked, decides = random.random(rows) < 0.2, random.random(rows) < 0.3
        recall.add([view(ages)], is_first, now_marked, decides)
        for row in range(rows):
            if is_first[row]:
                marks[row] = set()
            if decides[row]:
                held = {time[row] - age for age in ages[row] if 0 < age <= time[row]}
                marked += len(marks[row])
                hits += len(marks[row] & held)
                held_count += len(held)
            if now_marked[row]:
                marks[row].add(time[row])
    assert recall.recall == pytest.approx([hits / marked] * 2)
    assert recall.precision == pytest.approx([hits / held_count] * 2)
