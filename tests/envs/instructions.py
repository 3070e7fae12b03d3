"""Worlds of the Instruction task at a decision."""

from typing import Any

from envs.instruction import InstructionEnv
from envs.instruction.grammar import read


def decisions(**options: Any) -> tuple[InstructionEnv, list[dict[str, Any]]]:
    """Return a single world at its first decision, and the info of the steps so far."""
    env = InstructionEnv(**options)
    _, info = env.reset(seed=1)
    infos = [info]
    while not info["rl_expire.decision"]:
        *_, info = env.step(0)
        infos.append(info)
    return env, infos


def deed_of(infos: list[dict[str, Any]]) -> int:
    """Return the right action at the last of these steps."""
    place = read(infos[-1]["rl_expire.text"]).place
    for info in infos:
        meaning = read(info["rl_expire.text"])
        if info["rl_expire.relevant"] and meaning.place == place:
            assert meaning.deed is not None
            return 1 + meaning.deed
    raise AssertionError("no instruction for this place was given")
