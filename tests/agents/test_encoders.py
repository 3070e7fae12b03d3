"""Every supported observation space is encoded, and every other is refused in one line."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.blocks.heads import num_actions
from agents.encoders import make_encoder
from rl_expire.types import map_obs
from tests.support import SPACES, VECTOR, sample_obs

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


@each
def test_codes_can_learn_to_be_read_back(space: gym.Space) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(space, WIDTH)
    reader = nn.Linear(WIDTH, encoder.target_size)
    optimizer = torch.optim.Adam([*encoder.parameters(), *reader.parameters()], 1e-2)
    obs = sample_obs(space, (5,), np.random.default_rng(0))
    misread = []
    for _ in range(150):
        optimizer.zero_grad()
        misread.append(encoder.reconstruction_loss(reader(encoder(obs)), obs))
        misread[-1].backward()
        optimizer.step()
    assert misread[-1] < 0.1 * misread[0]


@each
def test_what_is_misread_does_not_depend_on_leading_shapes(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    obs = sample_obs(space, (3, 2), np.random.default_rng(0))
    read = torch.randn(3, 2, encoder.target_size)
    one_by_one = [
        encoder.reconstruction_loss(read[t, b], map_obs(lambda x, at=(t, b): x[at], obs))
        for t in range(3)
        for b in range(2)
    ]
    torch.testing.assert_close(
        encoder.reconstruction_loss(read, obs), torch.stack(one_by_one).mean()
    )


@pytest.mark.parametrize(
    ("space", "obs", "categories", "most"),
    [
        (spaces.MultiDiscrete([4, 6], start=[10, 20]), [10, 25], [0, 5], 6),
        (spaces.Discrete(5, start=3), 4, [1], 5),
        (SPACES["minigrid"], [[[1, 4, 2]] * 3] * 3, [1, 4, 2] * 9, 11),
    ],
)
def test_categories_are_misread_by_their_cross_entropy(
    space: gym.Space, obs: Any, categories: list[int], most: int
) -> None:
    encoder = make_encoder(space, WIDTH)
    read = torch.randn(encoder.target_size)
    naive = 0.0
    for place, category in enumerate(categories):
        scores = read[place * most : (place + 1) * most].tolist()
        naive += math.log(sum(math.exp(s) for s in scores)) - scores[category]
    dtype = torch.uint8 if isinstance(space, spaces.Box) else torch.int64
    misread = encoder.reconstruction_loss(read, torch.tensor(obs, dtype=dtype))
    assert float(misread) == pytest.approx(naive / len(categories), rel=1e-5)


def test_numbers_are_misread_by_their_squared_error_and_parts_add_up() -> None:
    compass = make_encoder(VECTOR, WIDTH)
    obs = torch.tensor([0.0, 1.0, -3.0, 2.0])
    read = torch.tensor([0.5, 1.0, -1.0, 0.0])
    squashed = [math.copysign(math.log1p(abs(x)), x) for x in obs.tolist()]
    naive = sum((r - x) ** 2 for r, x in zip(read.tolist(), squashed, strict=True)) / 4
    assert float(compass.reconstruction_loss(read, obs)) == pytest.approx(naive, rel=1e-5)
    both = make_encoder(spaces.Dict({"compass": VECTOR, "token": spaces.Discrete(5)}), WIDTH)
    assert both.target_size == 4 + 5
    scores, token = torch.randn(5), torch.tensor(2)
    alone = make_encoder(spaces.Discrete(5), WIDTH).reconstruction_loss(scores, token)
    together = both.reconstruction_loss(torch.cat([read, scores]), {"compass": obs, "token": token})
    assert float(together) == pytest.approx(naive + float(alone), rel=1e-5)


def test_pictures_are_misread_by_the_brightness_of_their_parts() -> None:
    encoder = make_encoder(MORE["pixels"], WIDTH)
    picture = torch.zeros(48, 40, 3, dtype=torch.uint8)
    picture[:, 20:, 1] = 255  # green on the right
    small = torch.zeros(3, 16, 16)
    small[1, :, 8:] = 1.0
    assert float(encoder.reconstruction_loss(small.flatten(), picture)) == pytest.approx(
        0.0, abs=1e-6
    )
    small[1, 0, 0] = 1.0
    assert float(encoder.reconstruction_loss(small.flatten(), picture)) == pytest.approx(
        1 / 768, rel=1e-4
    )


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
