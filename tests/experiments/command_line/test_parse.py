"""Words become options: repeated ones are gathered, none is dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.command_line.parse import call_of
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
