"""Action spaces as tensors, and distributions over them, against naive references."""

import math

import numpy as np
import pytest
import torch
from gymnasium import Space, spaces
from gymnasium.vector.utils import batch_space, iterate

from rl_expire.actions import ActionDistribution, UnsupportedSpaceError
from tests.acting import ACTION_SPACES, NESTED

every_space = pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)


def logits_for(actions: ActionDistribution, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, actions.size)


@every_space
@pytest.mark.parametrize("greedy", [True, False])
def test_actions_are_in_the_space(space: Space, greedy: bool) -> None:
    actions = ActionDistribution(space)
    logits = logits_for(actions, 200)
    drawn = actions.mode(logits) if greedy else actions.sample(logits)
    batch = actions.layout.to_env(drawn)
    assert batch in batch_space(space, 200)
    for single in iterate(batch_space(space, 200), batch):
        assert single in space
    one = actions.layout.to_one_env(drawn[:1])
    assert one in space


@every_space
def test_log_prob_and_kl_agree_with_sampling(space: Space) -> None:
    actions = ActionDistribution(space)
    logits = 0.3 * logits_for(actions, 1)
    many = logits.expand(100_000, -1)
    drawn = actions.sample(many)
    log_p = actions.log_prob(many, drawn)
    other = 0.3 * logits_for(actions, 1).expand(100_000, -1)
    difference = log_p - actions.log_prob(other, drawn)
    # Four standard errors.
    error = 4 * difference.std() / math.sqrt(len(drawn)) + 1e-6
    assert abs(difference.mean() - actions.kl(many[:1], other[:1])[0]) < error
    entropies = actions.entropy(many)
    error = 4 * (log_p.std() + entropies.std()) / math.sqrt(len(drawn)) + 1e-5
    assert abs(entropies.mean() + log_p.mean()) < error


def test_the_density_of_squashed_numbers_integrates_to_one() -> None:
    actions = ActionDistribution(spaces.Box(-1.0, 1.0, (1,)))
    logits = torch.tensor([0.4, -0.5], dtype=torch.float64)
    edges = torch.linspace(-0.999999, 0.999999, 200_001, dtype=torch.float64)
    numbers = torch.atanh((edges[1:] + edges[:-1]) / 2).unsqueeze(-1)
    density = actions.log_prob(logits.expand(len(numbers), -1), numbers).exp()
    assert float((density * edges.diff()).sum()) == pytest.approx(1.0, abs=1e-4)


def test_the_density_is_finite_far_out() -> None:
    actions = ActionDistribution(spaces.Box(-1.0, 1.0, (1,)))
    logits = torch.zeros(2, requires_grad=True)
    log_p = actions.log_prob(logits, torch.tensor([30.0]))
    log_p.backward()
    assert torch.isfinite(log_p)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_several_discrete_parts_are_independent() -> None:
    actions = ActionDistribution(spaces.MultiDiscrete([2, 3]))
    logits = logits_for(actions, 7)
    first, second = logits[:, :2].log_softmax(-1), logits[:, 2:].log_softmax(-1)
    action = torch.tensor([[1.0, 2.0]]).expand(7, -1)
    torch.testing.assert_close(actions.log_prob(logits, action), first[:, 1] + second[:, 2])
    entropy = -(first.exp() * first).sum(-1) - (second.exp() * second).sum(-1)
    torch.testing.assert_close(actions.entropy(logits), entropy)


def test_masked_categories_are_never_taken_and_give_finite_gradients() -> None:
    actions = ActionDistribution(spaces.MultiDiscrete([3, 2]))
    mask = torch.tensor([True, False, True, False, True]).expand(500, -1)
    logits = logits_for(actions, 500).requires_grad_()
    masked = actions.masked(logits, mask)
    drawn = actions.sample(masked)
    assert not (drawn[:, 0] == 1).any()
    assert (drawn[:, 1] == 1).all()
    other = actions.masked(logits_for(actions, 500), mask)
    total = actions.entropy(masked) + actions.kl(other, masked) + actions.log_prob(masked, drawn)
    total.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, [1, 3]] == 0).all()
    assert (logits.grad[:, 0] != 0).any()


def test_indices_number_all_categories_and_squashed_numbers_are_bounded() -> None:
    layout = ActionDistribution(NESTED).layout
    assert layout.sizes == [3, 2, 2, 2, 2, 2, 5]
    action = torch.tensor([2.0, 1, 0, 1, 0, 1, 3, 50.0, 0.0, 7.0])
    assert layout.indices(action).tolist() == [2, 4, 5, 8, 9, 12, 16]
    assert layout.squashed(action).tolist() == [1.0, 0.0, 7.0]


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (spaces.Text(5), "not in Text"),
        (spaces.Dict({"a": spaces.Sequence(spaces.Discrete(2))}), "not in Sequence"),
        (spaces.Box(0, 255, (3,), np.uint8), "use MultiDiscrete"),
        (spaces.Box(0.0, np.inf, (2,)), "finite bounds everywhere, or nowhere"),
        (spaces.Box(1.0, 1.0, (2,)), "low equals high"),
        (spaces.Dict({}), "it has no actions"),
        (spaces.Tuple((spaces.Discrete(2), spaces.Dict({}))), "it has no actions"),
        (
            spaces.Tuple((spaces.Discrete(2), spaces.Box(-1.0, 1.0, (0, 2)))),
            "a part without any: remove that",
        ),
        (spaces.Discrete(10**6), "more than 100,000 categories"),
    ],
)
def test_other_spaces_are_refused_in_one_line(space: Space, reason: str) -> None:
    with pytest.raises(UnsupportedSpaceError, match=reason) as error:
        ActionDistribution(space)
    assert "\n" not in str(error.value)
