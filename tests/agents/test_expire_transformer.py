"""Expire-Span transformer: the memories it holds, and its weights."""

import torch

from agents import ExpireTransformer
from rl_expire.memory.expire_span import is_held
from tests.support import ACTIONS, SMALL, VECTOR, act_over, expire_agent, random_steps, set_spans

ROWS = 3


def slots_and_held(agent: ExpireTransformer, length: int) -> list[tuple[int, int]]:
    """Return slots, and memories held in the fullest row, after each of `length` steps."""
    memory = agent.initial_memory(ROWS)
    steps = random_steps(length, ROWS, first=[(0, row) for row in range(ROWS)])
    sizes = []
    for t in range(length):
        _, memory = agent.act(steps.map(lambda x, t=t: x[t]), memory)
        slots = memory.layers[0]
        held = is_held(slots.remaining(memory.clock - 1), agent.config.ramp)
        sizes.append((slots.num_slots, int(held.sum(1).max())))
    return sizes


def test_every_state_is_held_while_none_expires() -> None:
    agent = expire_agent(max_span=1000.0)
    sizes = slots_and_held(agent, 40)
    assert [held for _, held in sizes] == list(range(1, 41))
    assert all(held <= slots <= held + 8 for slots, held in sizes)


def test_memory_stops_growing_once_the_first_memories_expire() -> None:
    agent = expire_agent(max_span=12.0)
    set_spans(agent, 0.0)  # every memory lives for 6 steps and a ramp of 3
    sizes = slots_and_held(agent, 40)
    assert max(held for _, held in sizes) == 9
    assert sizes[-1][0] == sizes[15][0] <= 12


def test_capacity_limits_memory_whatever_the_spans() -> None:
    agent = expire_agent(max_span=1000.0, capacity=5)
    assert agent.initial_memory(ROWS).layers[0].num_slots == 5
    assert slots_and_held(agent, 20)[-1] == (5, 5)


def test_refresh_removes_slots_that_are_no_longer_needed() -> None:
    agent = expire_agent(max_span=1000.0)
    memory = agent.initial_memory(ROWS)
    _, _, memory = act_over(agent, random_steps(30, ROWS), memory)
    assert memory.layers[0].num_slots >= 30
    short = random_steps(2, ROWS, first=[(0, row) for row in range(ROWS)])
    _, _, memory = act_over(agent, short, memory)
    assert agent.refresh(memory).layers[0].num_slots == 2


def test_state_dict_determines_the_outputs() -> None:
    one, other = expire_agent(layers=2), expire_agent(layers=2, seed=1)
    steps = random_steps(6, ROWS)
    one_logits, one_value, _ = act_over(one, steps, one.initial_memory(ROWS))
    before, _, _ = act_over(other, steps, other.initial_memory(ROWS))
    assert not torch.allclose(before, one_logits)
    other.load_state_dict(one.state_dict())
    logits, value, _ = act_over(other, steps, other.initial_memory(ROWS))
    assert torch.equal(logits, one_logits)
    assert torch.equal(value, one_value)


def test_calibration_is_part_of_the_state_dict() -> None:
    agent = expire_agent()
    steps = random_steps(8, ROWS)
    before = {name: x.clone() for name, x in agent.state_dict().items()}
    agent.calibrate_spans(steps, agent.initial_memory(ROWS))
    after = agent.state_dict()
    assert sum(not torch.equal(after[name], x) for name, x in before.items()) == 2
    fresh = ExpireTransformer(VECTOR, ACTIONS, SMALL)
    fresh.load_state_dict(agent.state_dict())
    torch.testing.assert_close(
        fresh.unroll(steps, fresh.initial_memory(ROWS)).spans,
        agent.unroll(steps, agent.initial_memory(ROWS)).spans,
    )


def test_the_horizon_of_training_is_set_in_every_layer_and_saved() -> None:
    agent = expire_agent(layers=2)
    agent.set_horizon(12.0)
    agent.set_horizon(9.0)
    tested = {name: float(x) for name, x in agent.state_dict().items() if "tested" in name}
    assert tested == {f"layers.{n}.lifetime.horizon.tested": 9.0 for n in range(2)}


def test_fading_ahead_of_time_sees_spans_as_they_are_and_acting_no_end_beyond_the_horizon() -> None:
    agent = expire_agent()
    steps = random_steps(8, ROWS)
    before = agent.unroll(steps, agent.initial_memory(ROWS), early=0.3)
    for layer in agent.layers:
        layer.lifetime.set_horizon(2.0)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    student, actor = (
        agent.unroll(steps, agent.initial_memory(ROWS), early=early) for early in (0.3, 0.0)
    )
    assert torch.equal(student.spans, before.spans)
    long = before.spans > 2
    assert long.any()
    assert not long.all()
    assert (actor.spans[long] > before.spans[long]).all()
    assert torch.equal(actor.spans[~long], before.spans[~long])
    assert torch.equal(student.span_penalty, actor.span_penalty)


def test_span_parameters_are_those_of_the_lifetime_modules() -> None:
    agent = expire_agent(layers=2)
    spans = {id(p) for p in agent.span_parameters()}
    named = {id(p) for name, p in agent.named_parameters() if "lifetime" in name}
    assert len(spans) == 4
    assert spans == named
