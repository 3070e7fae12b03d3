"""Advantages and returns, against explicit sums."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rl_expire.learning.returns import gae, next_values, vtrace
from rl_expire.types import Rollout
from tests.counting import CountingMemory
from tests.support import made_up_rollout

GAMMA, LAM = 0.9, 0.8
T, B = 40, 6
NAMES = (
    "reward",
    "value",
    "bootstrap_value",
    "terminated",
    "truncated",
    "final_value",
    "valid",
)


def tensors_of(rollout: Rollout[Any]) -> dict[str, Any]:
    """Return the arguments of `gae`."""
    return {name: getattr(rollout, name) for name in NAMES}


def random_rollout(seed: int = 0, ends: float = 0.15) -> dict[str, Any]:
    """Return a rollout in which odd rows have an invalid step after each episode."""
    memory = CountingMemory(torch.zeros(B, dtype=torch.int64))
    x = tensors_of(made_up_rollout(T, B, memory, seed=seed, ends=ends))
    for row in range(1, B, 2):
        for t in range(1, T):
            if x["valid"][t - 1, row] and (x["terminated"] | x["truncated"])[t - 1, row]:
                x["valid"][t, row] = x["terminated"][t, row] = x["truncated"][t, row] = False
                x["final_value"][t, row] = 0.0
    assert x["terminated"].any()
    assert x["truncated"].any()
    assert not x["valid"].all()
    return x


def ends_at(x: dict[str, Any], t: int, b: int) -> bool:
    return bool(x["terminated"][t, b] or x["truncated"][t, b])


def next_value(x: dict[str, Any], t: int, b: int) -> float:
    """Return the value of the state that follows a step."""
    if x["terminated"][t, b]:
        return 0.0
    if x["truncated"][t, b]:
        return float(x["final_value"][t, b])
    return float(x["value"][t + 1, b] if t + 1 < T else x["bootstrap_value"][b])


def td_error(x: dict[str, Any], t: int, b: int) -> float:
    """Return the one-step temporal-difference error."""
    return float(x["reward"][t, b]) + GAMMA * next_value(x, t, b) - float(x["value"][t, b])


def rest_of_episode(x: dict[str, Any], t: int, b: int) -> list[int]:
    """Return the steps from t to the end of episode or rollout; none for an invalid step."""
    steps = []
    for s in range(t, T):
        if not x["valid"][s, b]:
            break
        steps.append(s)
        if ends_at(x, s, b):
            break
    return steps


def discounted_returns(x: dict[str, Any]) -> dict[tuple[int, int], float]:
    """Return the discounted return with bootstrapping of each valid step, by (t, b)."""
    returns = {}
    for t, b in x["valid"].nonzero().tolist():
        steps = rest_of_episode(x, t, b)
        returns[t, b] = sum(GAMMA ** (s - t) * float(x["reward"][s, b]) for s in steps)
        returns[t, b] += GAMMA ** len(steps) * next_value(x, steps[-1], b)
    return returns


def assert_close(actual: Tensor, expected: float) -> None:
    assert float(actual) == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_gae_by_hand() -> None:
    """Two steps up to a termination, two up to a truncation, and one that continues."""
    column = torch.tensor([[0.0], [1], [0], [2], [3]])
    advantages, returns = gae(
        column,
        torch.tensor([[0.5], [0.4], [0.3], [0.2], [0.1]]),
        torch.tensor([10.0]),
        torch.tensor([[0], [1], [0], [0], [0]]).bool(),
        torch.tensor([[0], [0], [0], [1], [0]]).bool(),
        torch.tensor([[0.0], [0], [0], [4], [0]]),
        torch.ones(5, 1, dtype=torch.bool),
        gamma=0.5,
        lam=0.5,
    )
    # deltas: 0.5 * 0.4 - 0.5; 1 - 0.4; 0.5 * 0.2 - 0.3; 2 + 0.5 * 4 - 0.2; 3 + 0.5 * 10 - 0.1
    expected = torch.tensor([-0.3 + 0.25 * 0.6, 0.6, -0.2 + 0.25 * 3.8, 3.8, 7.9]).unsqueeze(1)
    torch.testing.assert_close(advantages, expected)
    torch.testing.assert_close(
        returns, expected + torch.tensor([[0.5], [0.4], [0.3], [0.2], [0.1]])
    )


def test_next_values_never_mix_termination_with_truncation() -> None:
    following = next_values(
        torch.tensor([[1.0], [2], [3]]),
        torch.tensor([4.0]),
        torch.tensor([[True], [False], [False]]),
        torch.tensor([[False], [True], [False]]),
        torch.tensor([[0.0], [7], [0]]),
    )
    assert following.squeeze(1).tolist() == [0.0, 7.0, 4.0]


@pytest.mark.parametrize("seed", range(3))
def test_gae_equals_its_sum_over_the_rest_of_the_episode(seed: int) -> None:
    x = random_rollout(seed)
    advantages, returns = gae(**x, gamma=GAMMA, lam=LAM)
    for b in range(B):
        for t in range(T):
            total = 0.0
            for s in rest_of_episode(x, t, b):
                delta = td_error(x, s, b)
                total += (GAMMA * LAM) ** (s - t) * delta
            assert_close(advantages[t, b], total)
            assert_close(returns[t, b], total + float(x["value"][t, b]))


def test_gae_with_lambda_one_gives_discounted_returns_with_bootstrapping() -> None:
    x = random_rollout()
    _, returns = gae(**x, gamma=GAMMA, lam=1.0)
    for (t, b), total in discounted_returns(x).items():
        assert_close(returns[t, b], total)


def test_gae_with_lambda_zero_gives_one_step_errors() -> None:
    x = random_rollout()
    advantages, _ = gae(**x, gamma=GAMMA, lam=0.0)
    for b in range(B):
        for t in range(T):
            delta = td_error(x, t, b)
            assert_close(advantages[t, b], delta if x["valid"][t, b] else 0.0)


@pytest.mark.parametrize("method", ["gae", "vtrace"])
def test_the_content_of_invalid_steps_does_not_change_advantages(method: str) -> None:
    def advantages(x: dict[str, Any]) -> Tensor:
        if method == "gae":
            return gae(**x, gamma=GAMMA, lam=LAM)[0]
        zero = torch.zeros(T, B)
        return vtrace(zero, zero, **x, gamma=GAMMA, lam=LAM)[0]

    x = random_rollout()
    before = advantages(x)
    assert (before[~x["valid"]] == 0).all()
    for name in ("reward", "value"):
        x[name] = x[name] + 100.0 * ~x["valid"]
    assert torch.equal(advantages(x), before)


def test_episodes_do_not_leak_into_each_other() -> None:
    x = random_rollout()
    before, _ = gae(**x, gamma=GAMMA, lam=LAM)
    late = torch.zeros(T, B, dtype=torch.bool)
    for b in range(B):
        last = max(t for t in range(T) if ends_at(x, t, b))
        late[last + 1 :, b] = True
    assert late.any()
    for name in ("reward", "value"):
        x[name] = x[name] + 100.0 * late
    x["bootstrap_value"] = x["bootstrap_value"] + 100.0
    again, _ = gae(**x, gamma=GAMMA, lam=LAM)
    assert torch.equal(again[~late], before[~late])
    assert not torch.equal(again[late], before[late])


def log_probs(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(T, B, generator=generator), torch.randn(T, B, generator=generator)


@pytest.mark.parametrize(
    ("lam", "rho_clip", "c_clip"), [(1.0, 1.0, 1.0), (0.7, 1.5, 1.0), (0.9, 5.0, 0.6)]
)
def test_vtrace_equals_the_sum_of_the_paper(lam: float, rho_clip: float, c_clip: float) -> None:
    x = random_rollout()
    target, behaviour = log_probs()
    clips: dict[str, Any] = {"rho_clip": rho_clip, "c_clip": c_clip}
    advantages, returns = vtrace(target, behaviour, **x, gamma=GAMMA, lam=lam, **clips)

    def ratio(t: int, b: int) -> float:
        return math.exp(float(target[t, b]) - float(behaviour[t, b]))

    def v_s(t: int, b: int) -> float:
        total, trace = float(x["value"][t, b]), 1.0
        for s in rest_of_episode(x, t, b):
            delta = td_error(x, s, b)
            total += GAMMA ** (s - t) * trace * min(rho_clip, ratio(s, b)) * delta
            trace *= lam * min(c_clip, ratio(s, b))
        return total

    for b in range(B):
        for t in range(T):
            assert_close(returns[t, b], v_s(t, b))
            if not x["valid"][t, b]:
                continue
            following = next_value(x, t, b)
            if not ends_at(x, t, b) and t + 1 < T:
                following = v_s(t + 1, b)
            error = float(x["reward"][t, b]) + GAMMA * following - float(x["value"][t, b])
            assert_close(advantages[t, b], min(rho_clip, ratio(t, b)) * error)


def test_vtrace_by_hand() -> None:
    """Ratios 2 and 1/2, both clips at 1: rho = c = (1, 1/2)."""
    target = torch.tensor([[math.log(2.0)], [math.log(0.5)]])
    no = torch.zeros(2, 1, dtype=torch.bool)
    advantages, returns = vtrace(
        target,
        torch.zeros(2, 1),
        torch.tensor([[1.0], [2]]),
        torch.tensor([[0.5], [1.0]]),
        torch.tensor([4.0]),
        no,
        no,
        torch.zeros(2, 1),
        ~no,
        gamma=0.5,
    )
    # v_1 = 1 + (2 + 2 - 1) / 2 = 2.5; v_0 = 0.5 + (1 + 0.5 - 0.5) + 0.5 * 1.5 = 2.25
    torch.testing.assert_close(returns, torch.tensor([[2.25], [2.5]]))
    torch.testing.assert_close(advantages, torch.tensor([[1 + 1.25 - 0.5], [0.5 * (2 + 2 - 1)]]))


@pytest.mark.parametrize("lam", [1.0, 0.8, 0.0])
def test_vtrace_on_policy_gives_lambda_returns(lam: float) -> None:
    x = random_rollout()
    target, _ = log_probs()
    _, returns = vtrace(target, target, **x, gamma=GAMMA, lam=lam)
    torch.testing.assert_close(returns, gae(**x, gamma=GAMMA, lam=lam)[1], atol=1e-5, rtol=1e-5)


def test_vtrace_on_policy_with_lambda_one_gives_n_step_returns() -> None:
    x = random_rollout()
    target, _ = log_probs()
    advantages, returns = vtrace(target, target, **x, gamma=GAMMA)
    for (t, b), total in discounted_returns(x).items():
        assert_close(returns[t, b], total)
        assert_close(advantages[t, b], total - float(x["value"][t, b]))


def test_vtrace_stays_finite_for_extreme_ratios() -> None:
    x = random_rollout()
    far = torch.full((T, B), 200.0)
    for target, behaviour in ((far, -far), (-far, far)):
        for result in vtrace(target, behaviour, **x, gamma=GAMMA):
            assert result.isfinite().all()
