"""The arrays behind the figures match the trace number by number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.corridor.env import CorridorEnv
from rl_expire.memory.horizon import FOR_GOOD
from rl_expire.retention.figure_data import (
    held_map,
    lifetime_counts,
    lifetime_edges,
    lifetimes,
    mean_kept,
)
from rl_expire.retention.record import trace_episode
from rl_expire.retention.trace import Trace
from tests.support import AGENTS
from tests.traces import random_trace


def held_at(trace: Trace, layer: int, memory: int, now: int) -> float:
    """Return the mask of a memory, looked up step by step."""
    memories = trace.steps[now].layers[layer]
    for k, written in enumerate(memories.written):
        if written == memory:
            return float(memories.mask[k])
    return 0.0 if memory <= now else np.nan


@pytest.mark.parametrize("layer", [0, 1])
def test_the_map_holds_the_mask_of_every_memory_at_every_step(layer: int) -> None:
    trace = random_trace(40, layers=2, longest=12)
    held = held_map(trace, layer)
    assert held.shape == (40, 40)
    for memory in range(40):
        for now in range(40):
            np.testing.assert_equal(
                held[memory, now], np.float32(held_at(trace, layer, memory, now))
            )
    fading = (held > 0) & (held < 1)
    assert fading.any()
    assert (held[np.triu_indices(40)] == 0).any()
    assert np.isnan(held[np.tril_indices(40, -1)]).all()


def test_lifetimes_are_those_of_new_memories_pooled_over_episodes() -> None:
    traces = [random_trace(25, layers=2), random_trace(9, layers=2, seed=1)]
    for layer in (0, 1):
        given, relevant = lifetimes(traces, layer)
        expected = []
        for trace in traces:
            for t, step in enumerate(trace.steps):
                memories = step.layers[layer]
                expected.append((memories.span[list(memories.written).index(t)], t == 0))
        assert list(zip(given.tolist(), relevant.tolist(), strict=True)) == expected


@pytest.mark.parametrize("longest", [0.0, 0.4, 1.0, 9.99, 10.0, 600.0])
def test_every_lifetime_is_counted_once_in_the_bin_that_contains_it(longest: float) -> None:
    rng = np.random.default_rng(0)
    spans = np.append(rng.uniform(0, longest, 200), [longest, 0]).astype(np.float32)
    edges = lifetime_edges(float(spans.max()))
    counts = lifetime_counts(spans, edges)
    assert edges[0] == 1
    assert edges[-1] > longest
    assert (np.diff(np.log(edges)) > 0).all()
    naive = [0] * (len(edges) - 1)
    for span in spans:
        for n in range(len(naive)):
            low = -np.inf if n == 0 else edges[n]
            naive[n] += int(low <= span < edges[n + 1])
    assert counts.tolist() == naive
    assert counts.sum() == len(spans)
    assert counts[-1] > 0, "the last bin holds the longest"


def test_lifetimes_of_what_is_kept_for_good_are_counted_in_the_last_bin() -> None:
    trace = random_trace(12)
    (held,) = trace.steps[0].layers
    first = replace(trace.steps[0], layers=(replace(held, span=np.array([np.inf], np.float32)),))
    spans, _ = lifetimes([replace(trace, steps=(first, *trace.steps[1:]))], 0)
    assert spans[0] == FOR_GOOD
    counts = lifetime_counts(spans, lifetime_edges(float(spans.max())))
    assert counts.sum() == 12
    assert counts[-1] == 1


def test_the_number_kept_is_the_mean_over_episodes_that_reached_the_step() -> None:
    traces = [random_trace(n, layers=2, longest=6, seed=n) for n in (5, 17, 11)]
    mean = mean_kept(traces)
    assert len(mean) == 17
    for t in range(17):
        kept = [
            sum(len(layer.written) for layer in trace.steps[t].layers)
            for trace in traces
            if t < len(trace.steps)
        ]
        assert mean[t] == pytest.approx(sum(kept) / len(kept))


@pytest.mark.parametrize("name", ["expire-span", "transformer-xl", "adaptive-span", "compressive"])
def test_every_kind_of_memory_has_these_arrays(name: str) -> None:
    env = CorridorEnv(render_mode="rgb_array", max_length=12, min_length=12)
    trace = trace_episode(AGENTS[name](env.observation_space), env, seed=3, max_steps=15)
    length = len(trace.steps)
    for layer in range(len(trace.steps[0].layers)):
        held = held_map(trace, layer)
        np.testing.assert_array_equal(np.diag(held), 1)
        given, relevant = lifetimes([trace], layer)
        assert given.shape == relevant.shape == (length,)
        assert (given >= 0).all()
    assert mean_kept([trace, replace(trace, seed=4)]).shape == (length,)
