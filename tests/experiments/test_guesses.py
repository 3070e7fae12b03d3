"""A run says how it reads observations, where success comes from, and what it does not use."""

from __future__ import annotations

import pytest

from tests.experiments.conftest import Call

TINY = (
    *("--threads", "1", "--agent.width", "8", "--ppo.minibatches", "1", "--no-video"),
    *("--train.num-envs", "2", "--train.rollout-length", "2"),
    *("--train.total-steps", "4", "--eval.episodes", "1", "--eval.num-envs", "1"),
)
KEYS = "success: from info['success'] or info['is_success'] on the last step; if neither is given,"


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            "train MiniGrid-MemoryS7-v0 --env.option max_steps=4",
            [
                "observation['direction']: read as one token with 4 ids",
                "observation['image']: read as 7 x 7 MiniGrid cells of 11 x 6 x 4 categories",
                "observation['mission']: not used, it is always 'go to the matching object at "
                "the end of the hallway'",
                f"{KEYS} any reward",
            ],
        ),
        (
            "train CartPole-v1",
            [
                "observation: read as a vector of 4 numbers",
                f"{KEYS} success is unknown and the task is solved at a mean return of 460.75 "
                "(reward_threshold is 475)",
            ],
        ),
        (
            "train CartPole-v1 --solved-return 50",
            [
                "observation: read as a vector of 4 numbers",
                f"{KEYS} a return of at least 50",
            ],
        ),
        (
            "train tests.faulty:Pixels-v0",
            [
                "observation: read as images of 40 x 36 pixels, 1 channel (last axis)",
                f"{KEYS} success is unknown and training uses its whole budget",
            ],
        ),
        (
            "train corridor --env.max-length 4 --env.min-length 4 --curriculum.start 4",
            [
                "observation: read as 5 x 5 MiniGrid cells of 11 x 6 x 4 categories",
                "success: from info['share'] on the last step",
            ],
        ),
    ],
)
def test_what_is_guessed_is_said_when_training_begins(
    words: str, lines: list[str], call: Call
) -> None:
    name, *given = words.split()
    done = call(name, *given, *TINY)
    assert done.code == 0, done.err
    assert done.out.splitlines()[: len(lines)] == lines
