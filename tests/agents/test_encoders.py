"""Encoders: all supported observation spaces are encoded, all others refused in one line."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

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

every_space = pytest.mark.parametrize("space", SUPPORTED.values(), ids=SUPPORTED.keys())


@every_space
def test_observations_are_encoded_independently_and_differently(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    obs = sample_obs(space, (3, 2), np.random.default_rng(0))
    encoded = encoder(obs)
    assert encoded.shape == (3, 2, WIDTH)
    assert encoded.dtype == torch.float32
    assert encoded.isfinite().all()
    torch.testing.assert_close(encoder(map_obs(lambda x: x[2, 1], obs)), encoded[2, 1])
    many = encoder(sample_obs(space, (40,), np.random.default_rng(0)))
    assert many.std(0).max() > 1e-3, "all observations have the same code"


@every_space
def test_every_weight_receives_gradient(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    encoder(sample_obs(space, (64,), np.random.default_rng(0))).pow(2).sum().backward()
    for name, p in encoder.named_parameters():
        if "score" in name:
            continue  # softmax is invariant to a shift, and constant over a single token
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


@every_space
def test_reconstruction_can_be_learned(space: gym.Space) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(space, WIDTH)
    decoder = nn.Linear(WIDTH, encoder.target_size)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-2)
    obs = sample_obs(space, (5,), np.random.default_rng(0))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(encoder.reconstruction_loss(decoder(encoder(obs)), obs))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]


@every_space
def test_reconstruction_loss_is_the_mean_over_the_batch(space: gym.Space) -> None:
    encoder = make_encoder(space, WIDTH)
    obs = sample_obs(space, (3, 2), np.random.default_rng(0))
    prediction = torch.randn(3, 2, encoder.target_size)
    one_by_one = [
        encoder.reconstruction_loss(prediction[t, b], map_obs(lambda x, at=(t, b): x[at], obs))
        for t in range(3)
        for b in range(2)
    ]
    torch.testing.assert_close(
        encoder.reconstruction_loss(prediction, obs), torch.stack(one_by_one).mean()
    )


@pytest.mark.parametrize(
    ("space", "obs", "categories", "most"),
    [
        (spaces.MultiDiscrete([4, 6], start=[10, 20]), [10, 25], [0, 5], 6),
        (spaces.Discrete(5, start=3), 4, [1], 5),
        (SPACES["minigrid"], [[[1, 4, 2]] * 3] * 3, [1, 4, 2] * 9, 11),
    ],
)
def test_loss_of_categories_is_their_cross_entropy(
    space: gym.Space, obs: Any, categories: list[int], most: int
) -> None:
    encoder = make_encoder(space, WIDTH)
    prediction = torch.randn(encoder.target_size)
    naive = 0.0
    for place, category in enumerate(categories):
        scores = prediction[place * most : (place + 1) * most].tolist()
        naive += math.log(sum(math.exp(s) for s in scores)) - scores[category]
    dtype = torch.uint8 if isinstance(space, spaces.Box) else torch.int64
    loss = encoder.reconstruction_loss(prediction, torch.tensor(obs, dtype=dtype))
    assert float(loss) == pytest.approx(naive / len(categories), rel=1e-5)


def test_loss_of_numbers_is_their_squared_error_and_entries_of_a_dict_add_up() -> None:
    compass = make_encoder(VECTOR, WIDTH)
    obs = torch.tensor([0.0, 1.0, -3.0, 2.0])
    prediction = torch.tensor([0.5, 1.0, -1.0, 0.0])
    compressed = [math.copysign(math.log1p(abs(x)), x) for x in obs.tolist()]
    naive = sum((r - x) ** 2 for r, x in zip(prediction.tolist(), compressed, strict=True)) / 4
    assert float(compass.reconstruction_loss(prediction, obs)) == pytest.approx(naive, rel=1e-5)
    both = make_encoder(spaces.Dict({"compass": VECTOR, "token": spaces.Discrete(5)}), WIDTH)
    assert both.target_size == 4 + 5
    scores, token = torch.randn(5), torch.tensor(2)
    alone = make_encoder(spaces.Discrete(5), WIDTH).reconstruction_loss(scores, token)
    together = both.reconstruction_loss(
        torch.cat([prediction, scores]), {"compass": obs, "token": token}
    )
    assert float(together) == pytest.approx(naive + float(alone), rel=1e-5)


def test_loss_of_images_is_the_squared_error_of_the_downscaled_brightness() -> None:
    encoder = make_encoder(MORE["pixels"], WIDTH)
    image = torch.zeros(48, 40, 3, dtype=torch.uint8)
    image[:, 20:, 1] = 255  # green on the right
    small = torch.zeros(3, 16, 16)
    small[1, :, 8:] = 1.0
    assert float(encoder.reconstruction_loss(small.flatten(), image)) == pytest.approx(
        0.0, abs=1e-6
    )
    small[1, 0, 0] = 1.0
    assert float(encoder.reconstruction_loss(small.flatten(), image)) == pytest.approx(
        1 / 768, rel=1e-4
    )


def test_tokens_are_counted_from_the_start_of_their_space() -> None:
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
def test_values_out_of_bounds_count_as_the_nearest_category(
    space: gym.Space, beyond: Tensor, last: Tensor
) -> None:
    encoder = make_encoder(space, WIDTH)
    if isinstance(space, spaces.Box):
        beyond, last = beyond.to(torch.uint8), last.to(torch.uint8)
    torch.testing.assert_close(encoder(beyond), encoder(last))
    other = last + 1 if (last == 3).all() else last - 1
    assert not torch.allclose(encoder(beyond), encoder(other)), "all values have the same code"


def test_huge_numbers_are_compressed() -> None:
    encoder = make_encoder(SPACES["vector"], WIDTH)
    assert encoder(torch.full((4,), 1e30)).abs().max() < 1000


@pytest.mark.parametrize("space", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a dict"])
def test_unsupported_space_is_refused_in_one_line_with_a_remedy(
    space: gym.Space, inside: bool
) -> None:
    given = spaces.Dict({"good": spaces.Discrete(2), "bad": space}) if inside else space
    with pytest.raises(ValueError, match=r"observation space .* is not supported: use") as caught:
        make_encoder(given, WIDTH)
    assert "\n" not in str(caught.value)
    assert type(space).__name__ in str(caught.value)
