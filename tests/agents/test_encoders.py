"""Every supported observation space is encoded, and every other is refused in one line."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from agents.blocks import num_actions
from agents.encoders import make_encoder
from rl_expire.types import map_obs
from tests.support import SPACES, sample_obs

WIDTH = 16
MORE = {
    "scalar": spaces.Box(-1.0, 1.0, (), np.float32),
    "matrix of doubles": spaces.Box(-1.0, 1.0, (2, 3), np.float64),
    "tokens from 3 on": spaces.Discrete(5, start=3),
    "sequences from 10 and 20 on": spaces.MultiDiscrete([4, 6], start=[10, 20]),
    "pixels": spaces.Box(0, 255, (48, 40, 3), np.uint8),
    "grey pixels": spaces.Box(0, 255, (36, 36, 1), np.uint8),
    "stacked frames": spaces.Box(0, 255, (4, 36, 40), np.uint8),
    "tiny grey pixels": spaces.Box(0, 255, (7, 7, 1), np.uint8),
    "integers": spaces.Box(0, 9, (4,), np.int64),
    "bits": spaces.MultiBinary(4),
    "grid with bounds": spaces.Box(
        np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), (10, 5, 3), np.uint8), dtype=np.uint8
    ),
}
SUPPORTED = SPACES | MORE
UNSUPPORTED: dict[str, gym.Space] = {
    "text": spaces.Text(8),
    "tuple": spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))),
    "matrix of tokens": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
    "dict of a dict": spaces.Dict({"inner": spaces.Dict({"token": spaces.Discrete(3)})}),
}

each = pytest.mark.parametrize("space", SUPPORTED.values(), ids=SUPPORTED.keys())


@each
def test_a_batch_of_any_leading_shape_is_encoded_one_by_one(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    obs = sample_obs(space, (3, 2), np.random.default_rng(0))
    encoded = encoder(obs)
    assert encoded.shape == (3, 2, WIDTH)
    assert encoded.dtype == torch.float32
    assert encoded.isfinite().all()
    torch.testing.assert_close(encoder(map_obs(lambda x: x[2, 1], obs)), encoded[2, 1])


@each
def test_different_observations_look_different(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    encoded = encoder(sample_obs(space, (40,), np.random.default_rng(0)))
    assert encoded.std(0).max() > 1e-3


@each
def test_every_weight_can_learn(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    encoder(sample_obs(space, (64,), np.random.default_rng(0))).pow(2).sum().backward()
    for name, p in encoder.named_parameters():
        if "score" in name:
            continue  # a softmax over tokens ignores what is added to all, or to a single one
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_tokens_are_counted_from_the_first_of_their_space() -> None:
    plain = make_encoder(spaces.MultiDiscrete([4, 6]), WIDTH)
    shifted = make_encoder(spaces.MultiDiscrete([4, 6], start=[10, 20]), WIDTH)
    shifted.load_state_dict(plain.state_dict())
    tokens = torch.tensor([[0, 0], [3, 5], [2, 4]])
    torch.testing.assert_close(shifted(tokens + torch.tensor([10, 20])), plain(tokens))


@pytest.mark.parametrize(
    ("space", "beyond", "last"),
    [
        (SPACES["minigrid"], torch.full((3, 3, 3), 255), torch.tensor([10, 5, 3]).expand(3, 3, 3)),
        (
            MORE["grid with bounds"],
            torch.full((2, 2, 3), 99),
            torch.tensor([10, 5, 3]).expand(2, 2, 3),
        ),
        (SPACES["tokens"], torch.tensor([7, 99, 8]), torch.tensor([6, 6, 6])),
        (SPACES["one token"], torch.tensor(5), torch.tensor(4)),
        (MORE["tokens from 3 on"], torch.tensor(8), torch.tensor(7)),
        (MORE["tokens from 3 on"], torch.tensor(0), torch.tensor(3)),
    ],
)
def test_values_beyond_the_declared_ones_count_as_the_last(
    space: gym.Space, beyond: Tensor, last: Tensor
) -> None:
    encoder = make_encoder(space, WIDTH)
    if isinstance(space, spaces.Box):
        beyond, last = beyond.to(torch.uint8), last.to(torch.uint8)
    torch.testing.assert_close(encoder(beyond), encoder(last))
    other = last + 1 if (last == 3).all() else last - 1
    assert not torch.allclose(encoder(beyond), encoder(other)), "all values look alike"


def test_huge_floats_stay_tame() -> None:
    encoder = make_encoder(SPACES["vector"], WIDTH)
    assert encoder(torch.full((4,), 1e30)).abs().max() < 1000


@pytest.mark.parametrize("space", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a dict"])
def test_any_other_space_is_refused_in_one_line_with_a_remedy(
    space: gym.Space, inside: bool
) -> None:
    given = spaces.Dict({"good": spaces.Discrete(2), "bad": space}) if inside else space
    with pytest.raises(ValueError, match=r"observation space .* is not supported: use") as caught:
        make_encoder(given, WIDTH)
    assert "\n" not in str(caught.value)
    assert type(space).__name__ in str(caught.value)


@pytest.mark.parametrize(
    "space", [spaces.Box(-1, 1, (2,)), spaces.MultiDiscrete([2, 2]), spaces.Discrete(3, start=1)]
)
def test_actions_that_are_not_discrete_from_zero_are_refused(space: gym.Space) -> None:
    with pytest.raises(ValueError, match=r"action space .* need a Discrete"):
        num_actions(space)
