"""The Expire-Span transformer: its options, what it holds, and its weights."""

import torch

from agents import ExpireTransformer
from rl_expire.memory.expire_span import is_held
from tests.support import ACTIONS, SMALL, VECTOR, act_over, expire_agent, random_steps, set_spans

ROWS = 3


def slots_and_held(agent: ExpireTransformer, length: int) -> list[tuple[int, int]]:
    """Slots, and memories held in the fullest row, after each of `length` steps."""
    memory = agent.initial_memory(ROWS)
    steps = random_steps(length, ROWS, first=[(0, row) for row in range(ROWS)])
    seen = []
    for t in range(length):
        _, memory = agent.act(steps.map(lambda x, t=t: x[t]), memory)
        slots = memory.layers[0]
        held = is_held(slots.remaining(memory.clock - 1), agent.config.ramp)
        seen.append((slots.num_slots, int(held.sum(1).max())))
    return seen


def test_without_an_end_of_life_every_step_is_held() -> None:
    agent = expire_agent(max_span=1000.0)
    seen = slots_and_held(agent, 40)
    assert [held for _, held in seen] == list(range(1, 41))
    assert all(held <= slots <= held + 8 for slots, held in seen)


def test_memory_stops_growing_once_the_first_memories_expire() -> None:
    agent = expire_agent(max_span=12.0)
    set_spans(agent, 0.0)  # every memory lives 6 steps, and 3 more of ramp
    seen = slots_and_held(agent, 40)
    assert max(held for _, held in seen) == 9
    assert seen[-1][0] == seen[15][0] <= 12


def test_capacity_bounds_memory_whatever_the_spans() -> None:
    agent = expire_agent(max_span=1000.0, capacity=5)
    assert agent.initial_memory(ROWS).layers[0].num_slots == 5
    assert slots_and_held(agent, 20)[-1] == (5, 5)


def test_refresh_gives_back_what_is_no_longer_needed() -> None:
    agent = expire_agent(max_span=1000.0)
    memory = agent.initial_memory(ROWS)
    _, _, memory = act_over(agent, random_steps(30, ROWS), memory)
    assert memory.layers[0].num_slots >= 30
    short = random_steps(2, ROWS, first=[(0, row) for row in range(ROWS)])
    _, _, memory = act_over(agent, short, memory)
    assert agent.refresh(memory).layers[0].num_slots == 2


def test_weights_go_to_another_agent_whole() -> None:
    one, other = expire_agent(layers=2), expire_agent(layers=2, seed=1)
    steps = random_steps(6, ROWS)
    one_logits, one_value, _ = act_over(one, steps, one.initial_memory(ROWS))
    before, _, _ = act_over(other, steps, other.initial_memory(ROWS))
    assert not torch.allclose(before, one_logits)
    other.load_state_dict(one.state_dict())
    logits, value, _ = act_over(other, steps, other.initial_memory(ROWS))
    assert torch.equal(logits, one_logits)
    assert torch.equal(value, one_value)


def test_what_spans_were_centred_on_is_part_of_the_weights() -> None:
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


def test_span_parameters_are_those_of_the_lifetimes() -> None:
    agent = expire_agent(layers=2)
    spans = {id(p) for p in agent.span_parameters()}
    named = {id(p) for name, p in agent.named_parameters() if "lifetime" in name}
    assert len(spans) == 4
    assert spans == named
