"""Attention by age against a loop over rows, heads, queries and memories."""

import math

import pytest
import torch
from torch import Tensor

from rl_expire.memory.attention import MemoryAttention

B, T, K, WIDTH, HEADS = 2, 3, 5, 8, 4
DEPTH = WIDTH // HEADS


def make() -> MemoryAttention:
    """Return attention with random weights in double precision."""
    torch.manual_seed(0)
    attention = MemoryAttention(WIDTH, HEADS).double()
    with torch.no_grad():
        for p in attention.parameters():
            p.normal_()
    return attention


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return states of queries and memories, ages `[B, T, K]` and bias `[B, H, T, K]`."""
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(B, T, WIDTH, generator=generator, dtype=torch.float64)
    memories = torch.randn(B, K, WIDTH, generator=generator, dtype=torch.float64)
    age = torch.randint(0, 300, (B, T, K), generator=generator)
    bias = -5 * torch.rand(B, HEADS, T, K, generator=generator, dtype=torch.float64)
    hidden = torch.rand(B, T, K, generator=generator) < 0.4
    hidden[..., 2] = False
    age[hidden] = -3
    return states, memories, age, bias.masked_fill(hidden.unsqueeze(1), -math.inf)


def test_equals_a_loop() -> None:
    attention = make()
    states, memories, age, bias = inputs()
    query = attention.project_query(states)
    key, value = attention.project_memory(memories)
    mixed, weights = attention(query, key, value, age, bias)
    w_q, w_kv, w_o = (
        m.weight.detach() for m in (attention.query, attention.key_value, attention.output)
    )
    slope = attention.slope.tolist()
    for b in range(B):
        for t in range(T):
            parts = []
            for h in range(HEADS):
                rows = slice(h * DEPTH, (h + 1) * DEPTH)
                q = w_q[rows] @ states[b, t]
                seen, values = [], []
                for k in range(K):
                    values.append(w_kv[WIDTH:][rows] @ memories[b, k])
                    score = float(q @ (w_kv[:WIDTH][rows] @ memories[b, k])) / math.sqrt(DEPTH)
                    if math.isfinite(bias[b, h, t, k]):
                        score -= slope[h] * math.log(1 + int(age[b, t, k]))
                    seen.append(math.exp(score + float(bias[b, h, t, k])))
                p = [s / sum(seen) for s in seen]
                torch.testing.assert_close(weights[b, h, t], torch.tensor(p, dtype=torch.float64))
                parts.append(sum(w * v for w, v in zip(p, values, strict=True)))
            expected = w_o @ torch.cat([torch.as_tensor(part) for part in parts])
            torch.testing.assert_close(mixed[b, t], expected)
    assert (weights == 0).any()


def test_one_bias_is_broadcast_to_all_heads() -> None:
    attention = make()
    states, memories, age, bias = inputs()
    query, (key, value) = attention.project_query(states), attention.project_memory(memories)
    shared, weights = attention(query, key, value, age, bias[:, :1])
    each, _ = attention(query, key, value, age, bias[:, :1].expand(-1, HEADS, -1, -1))
    torch.testing.assert_close(shared, each)
    assert weights.shape == (B, HEADS, T, K)


def test_weight_decays_as_a_power_of_age() -> None:
    attention = MemoryAttention(2, 2)
    with torch.no_grad():
        attention.slope.copy_(torch.tensor([0.0, 1.0]))
    query, memory = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 3, 1)
    age = torch.tensor([[[0, 1, 3]]])
    _, weights = attention(query, memory, memory, age, torch.zeros(1, 1, 1, 3))
    torch.testing.assert_close(weights[0, 0, 0], torch.ones(3) / 3)
    torch.testing.assert_close(weights[0, 1, 0], torch.tensor([4.0, 2.0, 1.0]) / 7)


def test_order_of_the_memories_does_not_matter() -> None:
    attention = make()
    states, memories, age, bias = inputs()
    query = attention.project_query(states)
    mixed, weights = attention(query, *attention.project_memory(memories), age, bias)
    order = torch.tensor([3, 0, 4, 2, 1])
    key, value = attention.project_memory(memories[:, order])
    again, moved = attention(query, key, value, age[..., order], bias[..., order])
    torch.testing.assert_close(again, mixed)
    torch.testing.assert_close(moved, weights[..., order])
    mismatched, _ = attention(query, key, value, age, bias)
    assert (mismatched - mixed).abs().max() > 0.01


def test_masked_memory_has_no_influence_and_no_gradient() -> None:
    attention = make()
    states, memories, age, bias = inputs()
    bias[..., 4] = -math.inf
    memories.requires_grad_()
    query = attention.project_query(states)
    mixed, weights = attention(query, *attention.project_memory(memories), age, bias)
    mixed.square().sum().backward()
    assert memories.grad is not None
    assert (weights[..., 4] == 0).all()
    assert (memories.grad[:, 4] == 0).all()
    assert (memories.grad[:, 2] != 0).any()
    with torch.no_grad():
        memories[:, 4] += 1e3
        again, _ = attention(query, *attention.project_memory(memories), age, bias)
    assert torch.equal(again, mixed)


def test_a_memory_may_be_a_million_steps_old() -> None:
    attention = make().float()
    query, memory = torch.randn(1, HEADS, 1, DEPTH), torch.randn(1, HEADS, 2, DEPTH)
    mixed, weights = attention(
        query, memory, memory, torch.tensor([[[10**6, 0]]]), torch.zeros(1, 1, 1, 2)
    )
    assert mixed.isfinite().all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, HEADS, 1))


@pytest.mark.parametrize("heads", [3, 0, -1])
def test_heads_must_divide_the_width(heads: int) -> None:
    with pytest.raises(ValueError, match=f"heads {heads} does not divide width 8"):
        MemoryAttention(8, heads)
