"""The Instruction task's rules: which deeds are rewarded, and which end the episode."""

import pytest

from envs.instruction import InstructionEnv
from envs.instruction.grammar import read
from tests.envs.instructions import decisions, deed_of


def test_the_right_deed_is_rewarded_once() -> None:
    env, infos = decisions()
    _, reward, terminated, truncated, info = env.step(deed_of(infos))
    assert (reward, terminated, truncated) == (1.0, False, False)
    assert (info["carried"], info["share"], info["success"]) == (1, 1 / 3, False)


def test_another_deed_ends_the_episode() -> None:
    env, infos = decisions()
    _, reward, terminated, _, info = env.step(1 + deed_of(infos) % 6)
    assert (reward, terminated, info["success"]) == (0.0, True, False)


def test_any_deed_at_another_sentence_ends_the_episode() -> None:
    env = InstructionEnv()
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(3)
    assert (reward, terminated, info["success"]) == (0.0, True, False)


def test_walking_past_a_place_costs_only_its_reward() -> None:
    env, infos = decisions(max_distance=60)
    for step in range(len(infos), 62):
        _, reward, terminated, truncated, info = env.step(0)
        assert (reward, terminated, truncated) == (0.0, step == 61, False)
        assert (info["success"], info["carried"], info["share"]) == (False, 0, 0.0)


@pytest.mark.parametrize("mistake", ["withdrawn", "decoy"])
def test_carrying_out_a_withdrawn_instruction_or_a_decoy_ends_the_episode(mistake: str) -> None:
    tried = 0
    for seed in range(40):
        env = InstructionEnv(decoys=6)
        _, info = env.reset(seed=seed)
        false: dict[int, int] = {}
        true: set[int] = set()
        for _ in range(101):
            meaning = read(info["rl_expire.text"])
            if meaning.kind == "instruction" and meaning.place is not None:
                assert meaning.deed is not None
                is_false = (
                    info["rl_expire.withdrawn"]
                    if mistake == "withdrawn"
                    else meaning.to is not None
                )
                if is_false:
                    false[meaning.place] = 1 + meaning.deed
                elif info["rl_expire.relevant"]:
                    true.add(meaning.place)
            at = meaning.place if meaning.kind == "arrival" else None
            if at in false and at not in true:
                _, reward, terminated, _, info = env.step(false[at])
                assert (reward, terminated, info["success"]) == (0.0, True, False)
                tried += 1
                break
            *_, info = env.step(0)
    assert tried >= 20


def test_a_deed_out_of_order_ends_the_episode_if_order_is_required() -> None:
    tried = 0
    for seed in range(40):
        env = InstructionEnv(ordered=True, withdrawn=0)
        _, info = env.reset(seed=seed)
        given: dict[int, int] = {}
        for _ in range(101):
            meaning = read(info["rl_expire.text"])
            if info["rl_expire.relevant"]:
                assert meaning.place is not None
                assert meaning.deed is not None
                given[meaning.place] = 1 + meaning.deed
            early = not info["rl_expire.decision"]
            if meaning.kind == "arrival" and meaning.place in given and early:
                assert meaning.place != next(iter(given)), "the first is always in its turn"
                _, reward, terminated, _, _ = env.step(given[meaning.place])
                assert (reward, terminated) == (0.0, True)
                tried += 1
                break
            *_, info = env.step(0)
    assert tried >= 10
