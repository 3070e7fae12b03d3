"""Random draws equal splitmix64, are uniform, and depend only on key and index."""

import numpy as np
import pytest

from envs.draws import chance, draw, episode_keys, integers

KEYS = np.arange(20_000, dtype=np.uint64)


def naive_draw(key: int, index: int) -> int:
    """Compute the published recurrence in Python integers."""
    z = (key + index * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_draws_are_splitmix64() -> None:
    assert int(draw(np.zeros(1, np.uint64), 1)[0]) == 0xE220A8397B1DCDAF
    keys = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    for index in (0, 3, 10**8):
        assert draw(keys, index).tolist() == [naive_draw(int(key), index) for key in keys]


def test_draws_do_not_modify_their_arguments() -> None:
    keys = KEYS.copy()
    draw(keys, 0)
    np.testing.assert_array_equal(keys, KEYS)


def test_integers_are_uniform_and_include_both_ends() -> None:
    values = integers(KEYS, 0, 3, 12)
    counts = np.bincount(values, minlength=13)[3:]
    assert values.min() == 3
    assert values.max() == 12
    assert np.abs(counts - 2000).max() < 250


def test_integers_refuse_an_empty_range() -> None:
    with pytest.raises(ValueError, match="low=3, high=2"):
        integers(KEYS, 0, 3, 2)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_chance_has_its_probability(probability: float) -> None:
    events = chance(draw(KEYS, 0), probability)
    assert events.mean() == pytest.approx(probability, abs=0.015 * (0 < probability < 1))


def test_episodes_and_seeds_give_unrelated_keys() -> None:
    keys = np.stack([episode_keys(KEYS, np.full(KEYS.shape, n)) for n in range(3)])
    assert np.unique(keys).size == keys.size
    bits = np.unpackbits(keys.view(np.uint8)).mean()
    assert bits == pytest.approx(0.5, abs=0.005)
