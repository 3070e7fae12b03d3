"""Words become options: repeated ones are gathered, none is dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.command_line.parse import call_of
from experiments.corridor import Corridor
from experiments.train import Train
from experiments.training.command_line import parse_options


def options(*words: str) -> Any:
    """Return the options of `train` with `words`."""
    return parse_options(Train, list(words), "train")


@pytest.mark.parametrize(
    "words",
    [
        "--wrappers a:A b:B --env.option x=1 y=2",
        "--wrappers a:A --wrappers b:B --env.option x=1 --env.option y=2",
        "--wrappers=a:A --env.option=x=1 --wrappers b:B --env.option y=2",
    ],
)
def test_a_repeated_option_keeps_all_its_values(words: str) -> None:
    env = options("--env-id", "CartPole-v1", *words.split()).env
    assert env.wrappers == ("a:A", "b:B")
    assert env.options() == {"x": 1, "y": 2}


def test_of_an_option_with_one_value_the_last_one_counts() -> None:
    assert options("--seed", "1", "--wrappers", "a:A", "--seed", "2").seed == 2


def test_a_command_keeps_the_values_of_a_repeated_option() -> None:
    given: list[tuple[int, ...]] = []

    def command(seeds: tuple[int, ...] = (), out: str = "") -> None:
        given.append(seeds)

    call_of(command)(["--seeds", "1", "--out", "x", "--seeds", "2", "3"], "command")()
    assert given == [(1, 2, 3)]


@pytest.mark.parametrize("word", ["1000", "1_000", "1e3", "1E+3", "1000.0"])
def test_a_whole_number_may_be_written_in_any_way(word: str) -> None:
    given = options("--seed", word, "--train.longest-rollout", word)
    assert given.seed == given.train.longest_rollout == 1000
    assert type(given.seed) is int
    assert options("--train.longest-rollout", "None").train.longest_rollout is None


@pytest.mark.parametrize("word", ["1.5", "1e-3", "inf", "nan", "one", "1e400"])
def test_what_is_no_whole_number_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="--seed") as caught:
        options("--seed", word)
    assert word in str(caught.value)


def test_whole_numbers_in_lists_may_be_written_in_any_way() -> None:
    given: list[tuple[int, ...]] = []

    def command(levels: tuple[int, ...] = ()) -> None:
        given.append(levels)

    call_of(command)(["--levels", "1e3", "20"], "command")()
    assert given == [(1000, 20)]


@pytest.mark.parametrize("agent", ["lstm", "gru"])
def test_recurrent_agents_get_rollouts_as_long_as_the_corridor_unless_told_otherwise(
    agent: str,
) -> None:
    def sizes(*words: str) -> tuple[int, int, int | None]:
        train = parse_options(Corridor, list(words), "corridor.py").train
        return train.num_envs, train.rollout_length, train.longest_rollout

    assert sizes() == sizes("--agent", "transformer-xl") == (256, 16, None)
    assert sizes("--agent", agent) == (64, 32, 256)
    assert sizes("--agent", agent, "--train.num-envs", "32") == (32, 32, 256)
    assert sizes("--agent", agent, "--train.longest-rollout", "None") == (64, 32, None)
