"""Encoders: all supported observation spaces are encoded, all others refused in one line."""

import math
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

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
    "large pixels": spaces.Box(0, 255, (3, 70, 66), np.uint8),
    "many tokens": spaces.MultiDiscrete([2048] * 12),
    "integers": spaces.Box(0, 9, (4,), np.int64),
    "bits": spaces.MultiBinary(4),
    "matrix of bits": spaces.MultiBinary([2, 3]),
    "matrix of tokens": spaces.MultiDiscrete(
        np.array([[2, 3], [4, 5]]), start=np.array([[0, 9], [-3, 1]])
    ),
    "half precision": spaces.Box(-1.0, 1.0, (4,), np.float16),
    "tuple": spaces.Tuple((spaces.Discrete(3), VECTOR)),
    "dict of a dict": spaces.Dict({"inner": spaces.Dict({"token": spaces.Discrete(3)})}),
    "two cameras, vector and words, nested": spaces.Dict(
        {
            "cameras": spaces.Tuple(
                [spaces.Box(0, 255, shape, np.uint8) for shape in ((20, 24, 3), (1, 9, 9))]
            ),
            "body": spaces.Dict({"": VECTOR, "said": spaces.MultiDiscrete([50] * 6)}),
        }
    ),
    "grid with bounds": spaces.Box(
        np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), (10, 5, 3), np.uint8), dtype=np.uint8
    ),
}
SUPPORTED = SPACES | MORE


def nan_bound() -> gym.Space:
    """Return a space as a subclass may make it: Gymnasium's own refuses NaN."""
    space = spaces.Box(-1.0, 1.0, (2,))
    space.low = np.array([np.nan, -1.0], np.float32)
    return space


UNSUPPORTED: dict[str, tuple[gym.Space, str]] = {
    "text": (spaces.Text(8), "a text has to be tokens: .* wrap it"),
    "text within": (
        spaces.Tuple((VECTOR, spaces.Dict({"said": spaces.Text(8)}))),
        "a text has to be tokens: .* wrap it",
    ),
    "sequence": (spaces.Sequence(spaces.Discrete(3)), "no Sequence: use a wrapper"),
    "graph": (spaces.Graph(VECTOR, None), "no Graph: use a wrapper"),
    "choice": (spaces.OneOf([VECTOR, spaces.Discrete(2)]), "no OneOf: use a wrapper"),
    "empty vector": (spaces.Box(-1.0, 1.0, (0,)), "it holds no numbers: remove it"),
    "empty tuple": (spaces.Tuple(()), "it has no entries: remove it"),
    "empty dict": (
        spaces.Dict({"a": VECTOR, "b": spaces.Dict({})}),
        "it has no entries: remove it",
    ),
    "huge vocabulary": (spaces.Discrete(2**30), "1,073,741,824 categories, .* use a Box"),
    "NaN bound": (nan_bound(), "a bound is NaN: use a number"),
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


def test_images_of_a_large_batch_are_encoded_like_single_ones() -> None:
    space = spaces.Box(0, 255, (3, 70, 66), np.uint8)
    encoder = make_encoder(space, WIDTH)
    obs = sample_obs(space, (2, 200), np.random.default_rng(0))
    assert isinstance(obs, Tensor)
    prediction = torch.randn(2, 200, encoder.target_size)
    with torch.no_grad():
        codes = encoder(obs)
        loss = encoder.reconstruction_loss(prediction, obs)
        for t, b in ((0, 0), (0, 151), (1, 199)):
            torch.testing.assert_close(encoder(obs[t, b]), codes[t, b], atol=1e-5, rtol=1e-4)
        few = [encoder.reconstruction_loss(prediction[t], obs[t]) for t in range(2)]
    torch.testing.assert_close(loss, torch.stack(few).mean())
    assert encoder(obs[0, :0]).shape == (0, WIDTH)


@pytest.mark.parametrize(("shape", "most"), [((210, 160, 3), 20e6), ((96, 96, 3), 6e6)])
def test_large_images_are_encoded_with_few_operations(shape: Any, most: float) -> None:
    """Half as many as by convolutions at full resolution, or fewer."""
    encoder = make_encoder(spaces.Box(0, 255, shape, np.uint8), 64)
    with FlopCounterMode(display=False) as counter:
        encoder(torch.zeros(shape, dtype=torch.uint8))
    assert 0 < counter.get_total_flops() < most


def test_tokens_are_counted_from_the_start_of_their_space() -> None:
    plain = make_encoder(spaces.MultiDiscrete([4, 6]), WIDTH)
    shifted = make_encoder(spaces.MultiDiscrete([4, 6], start=[10, 20]), WIDTH)
    shifted.load_state_dict(plain.state_dict())
    tokens = torch.tensor([[0, 0], [3, 5], [2, 4]])
    torch.testing.assert_close(shifted(tokens + torch.tensor([10, 20])), plain(tokens))


@pytest.mark.parametrize(
    ("space", "beyond"),
    [
        (SPACES["minigrid"], torch.full((3, 3, 3), 4)),
        (MORE["grid with bounds"], torch.tensor([11, 5, 3]).expand(2, 2, 3)),
        (SPACES["tokens"], torch.tensor([6, 7, 0])),
        (SPACES["one token"], torch.tensor(5)),
        (MORE["tokens from 3 on"], torch.tensor(8)),
        (MORE["tokens from 3 on"], torch.tensor(2)),
        (spaces.MultiDiscrete([4, 6], start=[10, 20]), torch.tensor([9, 20])),
    ],
)
def test_values_out_of_bounds_are_refused(space: gym.Space, beyond: Tensor) -> None:
    encoder = make_encoder(space, WIDTH)
    if isinstance(space, spaces.Box):
        beyond = beyond.to(torch.uint8)
    prediction = torch.zeros(encoder.target_size)
    for use in (encoder, partial(encoder.reconstruction_loss, prediction)):
        with pytest.raises(ValueError, match=r"an observation .* the observation space") as caught:
            use(beyond)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bound", [1, 2, 32, 255])
def test_cells_are_told_from_images_by_their_bounds(bound: int) -> None:
    space = spaces.Box(0, bound, (7, 7, 3), np.uint8)
    kind = "MiniGrid cells" if bound < 32 else "images of 7 x 7 pixels"
    assert kind in make_encoder(space, WIDTH).describe()


@pytest.mark.parametrize("keys", [["agent.pos", "type", "values", "keys", "train", "", "%"]])
def test_any_string_can_be_the_key_of_an_observation(keys: list[str]) -> None:
    keys = [*keys, "agent%2Epos", "%type", "%25", "training", "a/b", "two words", "parts.0"]
    space = spaces.Dict({key: spaces.Box(-1.0, 1.0, (2,)) for key in keys})
    encoder = make_encoder(space, WIDTH)
    assert len(encoder.state_dict()) == 7 * len(keys)
    obs = sample_obs(space, (2,), np.random.default_rng(0))
    assert isinstance(obs, dict)
    code = encoder(obs)
    for key in keys:
        assert not torch.allclose(encoder(obs | {key: obs[key] + 1}), code), key
    prediction = torch.zeros(2, encoder.target_size)
    assert encoder.reconstruction_loss(prediction, obs) > 0


def test_the_weights_of_ordinary_keys_are_named_after_them() -> None:
    space = spaces.Dict({"image": VECTOR, "goal_position": VECTOR})
    names = {name.split(".")[1] for name in make_encoder(space, WIDTH).state_dict()}
    assert names == {"image", "goal_position"}


@pytest.mark.parametrize(
    ("parts", "problem"), [({}, "it has no entries"), ({3: VECTOR}, "use a string")]
)
def test_dictionaries_without_string_keys_are_refused(parts: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_encoder(spaces.Dict(parts), WIDTH)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (spaces.MultiDiscrete([2048] * 48), spaces.MultiDiscrete([2**20] * 48)),
        (spaces.Discrete(5000), spaces.Discrete(2**20)),
        (spaces.Box(-1.0, 1.0, (2000,)), spaces.Box(-1.0, 1.0, (132_720,))),
    ],
)
def test_predictions_of_large_observations_stay_small(small: gym.Space, large: gym.Space) -> None:
    """They grow with the logarithm of a vocabulary, and not with the length of a vector."""
    sizes = [make_encoder(space, 1).target_size for space in (small, large)]
    assert sizes[0] <= 48 * 11
    assert sizes[1] <= 20 / 11 * sizes[0]


def test_loss_of_many_categories_is_the_cross_entropy_of_their_digits() -> None:
    encoder = make_encoder(spaces.MultiDiscrete([4096, 4096]), WIDTH)
    prediction, tokens = torch.randn(24), torch.tensor([5, 4095])
    digits = [5 >> n & 1 for n in range(12)] + [1] * 12
    naive = sum(
        math.log1p(math.exp(-x if digit else x))
        for x, digit in zip(prediction.tolist(), digits, strict=True)
    )
    loss = encoder.reconstruction_loss(prediction, tokens)
    assert float(loss) == pytest.approx(naive / 2, rel=1e-5)
    uniform = encoder.reconstruction_loss(torch.zeros(24), tokens)
    assert float(uniform) == pytest.approx(math.log(4096), rel=1e-5)


def test_long_vectors_are_reconstructed_by_sums_that_tell_them_apart() -> None:
    encoder = make_encoder(spaces.Box(-1.0, 1.0, (30, 70)), WIDTH)
    obs = torch.randn(2, 30, 70)
    mean_square = (torch.sign(obs) * torch.log1p(obs.abs())).pow(2).mean()
    nothing = encoder.reconstruction_loss(torch.zeros(2, encoder.target_size), obs)
    assert float(nothing) == pytest.approx(float(mean_square), rel=0.2)
    prediction = torch.zeros(2, encoder.target_size, requires_grad=True)
    loss = encoder.reconstruction_loss(prediction, obs)
    (gradient,) = torch.autograd.grad(loss, prediction)
    right = prediction.detach() - gradient * prediction.numel() / 2  # the minimum of a mean square
    assert float(encoder.reconstruction_loss(right, obs)) == pytest.approx(0, abs=1e-9)
    changed = obs.clone()
    changed[:, 29, 69] += 1
    assert float(encoder.reconstruction_loss(right, changed)) > 1e-5


@pytest.mark.parametrize(
    ("shape", "channels", "order"),
    [
        ((8, 8, 3), 3, "last"),
        ((3, 8, 8), 3, "first"),
        ((3, 9, 16), 3, "first"),
        ((4, 84, 84), 4, "first"),
        ((12, 20, 20), 12, "first"),
        ((10, 10, 6), 6, "last"),
        ((4, 4, 3), 3, "last"),
        ((3, 4, 4), 3, "first"),
        ((3, 3, 3), 3, "last"),
        ((16, 12, 3), 3, "last"),
        ((1, 1, 3), 3, "last"),
    ],
)
def test_the_channel_axis_is_found(shape: tuple[int, ...], channels: int, order: str) -> None:
    described = make_encoder(spaces.Box(0, 255, shape, np.uint8), WIDTH).describe()
    assert f"{channels} channels ({order} axis)" in described


def test_huge_numbers_are_compressed() -> None:
    encoder = make_encoder(SPACES["vector"], WIDTH)
    assert encoder(torch.full((4,), 1e30)).abs().max() < 1000


@pytest.mark.parametrize(("space", "reason"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a dict"])
def test_unsupported_space_is_refused_in_one_line_with_a_remedy(
    space: gym.Space, reason: str, inside: bool
) -> None:
    given = spaces.Dict({"good": spaces.Discrete(2), "bad": space}) if inside else space
    with pytest.raises(ValueError, match=f"observation space .* is not supported: .*{reason}") as e:
        make_encoder(given, WIDTH)
    assert "\n" not in str(e.value)
    assert not inside or "at ['bad" in str(e.value)
