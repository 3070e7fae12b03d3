"""The Instruction task's language, distances, options, and ceiling."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete

from envs.instruction import InstructionEnv, InstructionOptions, InstructionVectorEnv
from envs.instruction.grammar import DEEDS, NAMES, PLACES, Language, Meaning, read, write
from tests.envs.instructions import decisions, deed_of

OPTIONS: list[dict[str, Any]] = [
    {},
    {"ordered": True},
    {"ordered": True, "instructions": 4, "withdrawn": 2, "max_distance": 60},
    {"instructions": 1, "withdrawn": 0, "decoys": 0, "min_distance": 1, "max_distance": 2},
    {
        "instructions": 5,
        "withdrawn": 2,
        "decoys": 6,
        "places": 12,
        "deeds": 8,
        "chatter": 0.8,
        "max_distance": 130,
    },
    {"instructions": 2, "withdrawn": 0, "decoys": 1, "chatter": 0.0, "max_distance": 40},
]
ids = pytest.mark.parametrize("options", OPTIONS, ids=str)


def walk_on(env: InstructionVectorEnv) -> list[dict[str, Any]]:
    """Return the info of every step of an episode in which nothing is ever done."""
    _, info = env.reset(seed=3)
    infos = [info]
    for _ in range(env.options.max_distance):
        _, reward, terminated, truncated, info = env.step(np.zeros(env.num_envs, np.int64))
        assert not reward.any()
        assert not (terminated | truncated).any()
        infos.append(info)
    return infos


@pytest.mark.parametrize(("places", "deeds"), [(12, 8), (2, 1), (8, 6)])
def test_reading_a_sentence_gives_its_meaning(places: int, deeds: int) -> None:
    language = Language(places, deeds)
    kinds: dict[str, int] = {}
    for text in language.texts.tolist():
        meaning = read(text)
        kinds[meaning.kind] = kinds.get(meaning.kind, 0) + 1
        if meaning.kind != "chatter":
            assert write(meaning) == text
    names = len(NAMES)
    assert kinds["instruction"] == (1 + names) * places * deeds
    assert kinds["withdrawal"] == (1 + names) * deeds
    assert kinds["arrival"] == places
    assert len(set(language.texts.tolist())) == language.size


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "ring the bell .",
        "when you reach the tower , ring the lamp .",
        "anna , you reach the inn .",
    ],
)
def test_sentences_outside_the_language_are_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match="is not a sentence of this language"):
        read(sentence)


def test_computed_numbers_are_those_of_the_sentences() -> None:
    language = Language(5, 4)
    place, deed, to = (np.array(x) for x in ([0, 4, 2], [3, 0, 1], [0, 1, 4]))
    for n, text in enumerate(language.texts[language.instruction(place, deed, to)]):
        whom = None if to[n] == 0 else int(to[n]) - 1
        assert read(text) == Meaning("instruction", int(place[n]), int(deed[n]), whom)
    for n, text in enumerate(language.texts[language.withdrawal(deed, to)]):
        assert read(text).deed == deed[n]
    arrivals = language.arrival(place)
    assert [read(text).place for text in language.texts[arrivals]] == place.tolist()
    assert language.place_reached(arrivals).tolist() == place.tolist()
    others = np.setdiff1d(np.arange(language.size), language.arrival(np.arange(5)))
    assert (language.place_reached(others) == -1).all()


def test_tokens_spell_the_sentences_and_are_unique() -> None:
    language = Language(len(PLACES), len(DEEDS))
    assert len(np.unique(language.tokens, axis=0)) == language.size
    for tokens, text in zip(language.tokens, language.texts, strict=True):
        words = [language.vocabulary[token] for token in tokens if token]
        assert " ".join(words) == text


@ids
def test_all_tokens_are_in_the_vocabulary(options: dict[str, Any]) -> None:
    env = InstructionVectorEnv(32, **options)
    space = env.single_observation_space
    assert isinstance(space, MultiDiscrete)
    assert set(space.nvec.tolist()) == {len(env.language.vocabulary)}
    obs, _ = env.reset(seed=0)
    for _ in range(150):
        assert obs.min() >= 0
        assert obs.max() < len(env.language.vocabulary)
        obs, *_ = env.step(np.zeros(32, np.int64))


@ids
def test_the_oracle_carries_out_every_instruction(options: dict[str, Any]) -> None:
    env = InstructionVectorEnv(200, **options)
    oracle = env.oracle()
    obs, _ = env.reset(seed=0)
    first, total, ended = np.ones(200, np.bool_), np.zeros(200), 0
    for _ in range(300):
        obs, reward, terminated, truncated, info = env.step(oracle.act(obs, first))
        first = terminated
        total += reward
        assert not truncated.any()
        assert (total[first] == env.expected_return()).all()
        if first.any():
            assert info["final_info"]["success"][first].all()
            ended += int(first.sum())
        total[first] = 0.0
    assert ended >= 400


@ids
def test_distances_and_visits_are_as_documented(options: dict[str, Any]) -> None:
    env = InstructionVectorEnv(300, **options)
    infos = walk_on(env)
    size = env.options
    text = np.stack([info["rl_expire.text"] for info in infos])
    relevant = np.stack([info["rl_expire.relevant"] for info in infos])
    withdrawn = np.stack([info["rl_expire.withdrawn"] for info in infos])
    assert (relevant.sum(0) == size.instructions).all()
    assert (withdrawn.sum(0) == size.withdrawn).all()
    distances = []
    for row in range(300):
        meanings = [read(t) for t in text[:, row]]
        to_me = [m.to is None for m in meanings]
        for when in np.flatnonzero(relevant[:, row] | withdrawn[:, row]):
            given = meanings[when]
            assert given.kind == "instruction"
            assert to_me[when]
            visits = [
                t for t, m in enumerate(meanings) if (m.kind, m.place) == ("arrival", given.place)
            ]
            most = 2 if size.ordered and relevant[when, row] else 1
            assert 1 <= len(visits) <= most
            distances += [t - when for t in visits]
            undone = [
                t
                for t, m in enumerate(meanings)
                if (m.kind, m.deed) == ("withdrawal", given.deed) and to_me[t]
            ]
            assert len(undone) == int(withdrawn[when, row])
            assert all(when < t < min(visits) for t in undone)
        own = [m for m, mine in zip(meanings, to_me, strict=True) if mine]
        assert sum(m.kind == "instruction" for m in own) == size.given
        others = [m for m in meanings if m.to is not None]
        assert len(others) == size.decoys
    assert min(distances) >= size.min_distance
    assert max(distances) <= size.max_distance
    if size.max_distance >= 100:
        assert min(distances) < size.min_distance + 10
        assert max(distances) > size.max_distance - 10


def test_the_share_of_chatter_is_as_chosen() -> None:
    for share in (0.2, 0.5, 0.8):
        env = InstructionVectorEnv(300, chatter=share, max_distance=150)
        text = np.stack([info["rl_expire.text"] for info in walk_on(env)])
        walked = text[env.options.first_arrival :].ravel()
        spoken = np.mean(~np.char.startswith(walked, "you reach"))
        assert spoken == pytest.approx(share, abs=0.06)


def test_easier_options_take_effect_at_the_next_episode() -> None:
    env = InstructionVectorEnv(3)
    _, info = env.reset(seed=0)
    env.change(instructions=1, withdrawn=0, decoys=0, min_distance=1, max_distance=5)
    assert (info["distance"] == 100).all()
    _, info = env.reset()
    assert (info["distance"] == 5).all()
    assert env.expected_return() == 1.0
    with pytest.raises(ValueError, match="instructions=4 is impossible: give at most 3"):
        env.change(instructions=4)
    with pytest.raises(TypeError, match="chatter cannot be changed"):
        env.change(chatter=0)
    with pytest.raises(ValueError, match="max_distance=1 is impossible: give 2 to"):
        env.change(max_distance=1)
    assert env.options == InstructionOptions(1, 0, 0, 0.5, 1, 5, False)


@pytest.mark.parametrize("ordered", [False, True])
def test_current_episodes_are_not_affected_by_changed_options_or_copying(ordered: bool) -> None:
    def texts(env: InstructionVectorEnv) -> list[list[str]]:
        step = np.zeros(env.num_envs, np.int64)
        return [env.step(step)[-1]["rl_expire.text"].tolist() for _ in range(95)]

    plain, changed, copied = (InstructionVectorEnv(16, ordered=ordered) for _ in range(3))
    for env in (plain, changed):
        env.reset(seed=2)
        for _ in range(5):
            env.step(np.zeros(16, np.int64))
    changed.change(instructions=1, withdrawn=0, decoys=0, min_distance=1, max_distance=5)
    copied.change(instructions=2, withdrawn=0, decoys=1, min_distance=9, max_distance=50)
    copied.load_state_dict(changed.state_dict())
    expected = texts(plain)
    assert any("you reach" in text for text in expected[-1])
    assert texts(changed) == expected
    assert texts(copied) == expected


def test_a_quarter_of_the_decoys_are_withdrawals() -> None:
    language = Language(5, 4)
    kinds = [read(text) for text in language.texts[language.decoys]]
    assert all(meaning.to is not None for meaning in kinds)
    assert {meaning.kind for meaning in kinds} == {"instruction", "withdrawal"}
    assert 4 * sum(meaning.kind == "withdrawal" for meaning in kinds) == len(kinds)
    times = np.bincount(language.decoys, minlength=language.size)
    for kind, count in (("instruction", len(NAMES) * 5 * 4), ("withdrawal", len(NAMES) * 4)):
        drawn = [n for n, m in zip(times[language.decoys], kinds, strict=True) if m.kind == kind]
        assert len(set(drawn)) == 1, "all equally often"
        assert len(drawn) == count * drawn[0]


def test_the_due_instruction_is_known_after_copying() -> None:
    env, infos = decisions()
    other = InstructionVectorEnv(1)
    other.load_state_dict(env.core.state_dict())
    assert other.step(np.array([deed_of(infos)]))[1].tolist() == [1.0]


def test_episodes_are_rendered_as_text_and_as_pictures() -> None:
    env = InstructionEnv(render_mode="ansi")
    _, info = env.reset(seed=0)
    assert env.render() == info["rl_expire.text"]
    *_, info = env.step(0)
    assert env.render() == info["rl_expire.text"]
    batch = InstructionVectorEnv(2, render_mode="rgb_array")
    batch.reset(seed=0)
    frames = []
    for _ in range(15):
        shown = batch.render()
        assert shown is not None
        frames.append(shown[0])
        batch.step(np.zeros(2, np.int64))
    assert len({frame.shape for frame in frames}) == 1
    assert frames[0].dtype == np.uint8
    brightest = [int(frame.max()) for frame in frames]
    assert min(brightest) == 255, "the current sentence is white"
    assert all((a != b).any() for a, b in pairwise(frames))
