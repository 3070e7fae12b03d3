"""The page's data match the trace memory by memory; the file is complete and standalone."""

from __future__ import annotations

import base64
import io
import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from envs.corridor.env import CorridorEnv
from rl_expire.retention.canvas import RELEVANT
from rl_expire.retention.page.data import Pictures, css, episode_data
from rl_expire.retention.page.write import write_page
from rl_expire.retention.record import trace_episode
from tests.counting import CountingAgent
from tests.rl_expire.retention.page.page_data import assert_agrees, written
from tests.support import AGENTS
from tests.traces import random_trace, weighed_trace


@pytest.mark.parametrize("name", [name for name in AGENTS if "," not in name])
def test_the_data_match_the_memory_of_every_kind_of_agent(name: str) -> None:
    env = CorridorEnv(max_length=10, min_length=10, render_mode="rgb_array")
    trace = trace_episode(AGENTS[name](env.observation_space), env, seed=3, greedy=False)
    assert len(trace.steps) > 10
    for first in (0, 6):
        assert_agrees(episode_data(trace, first, Pictures()), trace)


def test_the_data_match_every_memory_of_a_random_trace(tmp_path: Path) -> None:
    trace = random_trace(40, layers=2, heads=3)
    (episode,) = written(tmp_path, trace)["episodes"]
    assert_agrees(episode, trace)
    assert any(any(layer["fading"]) for layer in episode["layers"]), "nothing faded"
    assert all(len(layer["held"]) == 40 for layer in episode["layers"]), "one entry per memory"


def test_a_lifetime_that_changes_has_an_entry_for_each_value() -> None:
    trace = random_trace(8)
    layer = trace.steps[5].layers[0]
    longer = replace(layer, span=layer.span + 1, remaining=layer.remaining + 1)
    changed = replace(trace.steps[5], layers=(longer,))
    trace = replace(trace, steps=(*trace.steps[:5], changed, *trace.steps[6:]))
    episode = episode_data(trace, 0, Pictures())
    assert_agrees(episode, trace)
    assert [life[1:3] for life in episode["layers"][0]["held"] if not life[0]] == [
        [0, 5], [5, 6], [6, 8],
    ]  # fmt: skip


def test_the_data_match_every_step_of_the_trace(tmp_path: Path) -> None:
    trace = random_trace(30)
    data = written(tmp_path, trace)
    (episode,) = data["episodes"]
    assert (episode["first"], episode["length"], episode["notes"]) == (0, 30, [])
    assert (episode["env"], episode["seed"]) == ("Made-up", 0)
    assert episode["outcome"]["word"] == "Success"
    for t, step in enumerate(trace.steps):
        assert episode["taken"][t] == list(step.taken)
        assert episode["reward"][t] == step.reward
        assert episode["value"][t] == pytest.approx(step.value, abs=6e-5)
        np.testing.assert_allclose(episode["policy"][t], step.policy, atol=6e-5)
        assert episode["decision"][t] == step.decision
        observation = episode["observations"][str(t)]
        assert observation["relevant"] == step.relevant
        np.testing.assert_array_equal(shown(data, observation), trace.frames[t])
    np.testing.assert_array_equal(shown(data, episode["end"]), trace.frames[30])


def shown(data: dict[str, Any], observation: dict[str, Any]) -> np.ndarray:
    """Decode the picture of an observation."""
    kind, content = data["pictures"][observation["picture"]].split(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


NASTY = [
    "</script><script>window.hacked = 1</script>",
    "<!-- <script> &amp; &lt;img src=x onerror=alert(1)&gt;",
    "{{data}} {{script}} $& \\u003c \\",
    "quotes \" ' ` and lines \n\u2028 and Zürich 北京 🔔 \ud800",
]


def test_texts_and_names_cannot_inject_markup(tmp_path: Path) -> None:
    trace = replace(random_trace(4, texts=NASTY), env_id=NASTY[0], action_names=tuple(NASTY[:3]))
    (episode,) = written(tmp_path, trace)["episodes"]
    assert [episode["observations"][str(t)]["text"] for t in range(4)] == NASTY
    assert episode["env"] == NASTY[0]
    assert episode["actions"] == NASTY[:3]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.lower().count("</script") == 2
    assert "<!--" not in page


def test_observations_with_text_have_no_pictures(tmp_path: Path) -> None:
    data = written(tmp_path, random_trace(6, texts=["you reach the mill .", "it rains ."]))
    assert data["pictures"] == {}
    assert data["episodes"][0]["end"] == {}


def test_nan_and_infinity_become_null(tmp_path: Path) -> None:
    trace = random_trace(2)
    first = trace.steps[0]
    endless = replace(first.layers[0], span=np.array([np.inf], np.float32))
    broken = replace(first, value=float("nan"), reward=float("inf"), layers=(endless,))
    (episode,) = written(tmp_path, replace(trace, steps=(broken, trace.steps[1])))["episodes"]
    assert episode["value"][0] is episode["reward"][0] is None
    assert episode["layers"][0]["held"][0] == [0, 0, 1, None]


def test_an_agent_without_memories_has_no_layers(tmp_path: Path) -> None:
    (episode,) = written(tmp_path, random_trace(3, layers=0))["episodes"]
    assert episode["layers"] == []
    assert CountingAgent().view(CountingAgent().initial_memory(1)) == []


@pytest.mark.parametrize("first", [0, 12])
def test_the_data_of_an_agent_without_memories_match_its_importance(
    first: int, tmp_path: Path
) -> None:
    trace = weighed_trace(20, every=3)
    assert trace.importance is not None
    episode = episode_data(trace, first, Pictures())
    assert episode["layers"] == []
    (paid,) = episode["importance"]["attention"]
    for now, pairs in zip(range(first, 20), paid, strict=True):
        given = dict(zip(pairs[::2], pairs[1::2], strict=True))
        for step, share in enumerate(trace.importance.shares[now]):
            if share >= 0.01:
                assert given.pop(3 * step) == round(float(share) * 255)
                assert str(3 * step) in episode["observations"]
        assert given == {}
    assert "Importance is measured for 3 steps at a time." in episode["notes"]


def test_the_page_refers_to_nothing_outside_the_file(tmp_path: Path) -> None:
    write_page([random_trace(5)], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert not re.findall(r"""\b(?:src|href|srcset|action)\s*=\s*["']""", page)
    assert not re.findall(r"https?:|//[a-z]|url\(|@import|\bimport\b|fetch\(|XMLHttp", page)
    assert "default-src 'none'" in page
    assert f"--relevant:{css(RELEVANT)};" in page
    assert "{{" not in page


def test_the_package_includes_the_files_of_the_page() -> None:
    root = Path(__file__).parents[4]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["rl_expire.retention.page"]
    folder = root / "rl_expire" / "retention" / "page"
    parts = [part for part in folder.iterdir() if part.suffix not in (".py", "")]
    assert len(parts) > 3
    for part in parts:
        assert any(part.match(pattern) for pattern in patterns), part


def test_a_recording_that_was_cut_says_so(tmp_path: Path) -> None:
    (note,) = write_page([random_trace(7, cut=True)], tmp_path / "page.html")
    assert note == "seed 0: The recording stops at step 7, before the end of the episode."


def test_no_traces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="traces is empty"):
        write_page([], tmp_path / "page.html")
    assert not os.listdir(tmp_path)


def test_an_unwritable_file_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "page.html"):
        with pytest.raises(
            ValueError, match=r"cannot be written .*: choose another path"
        ) as caught:
            write_page([random_trace(3)], path)
        assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left on device\)"):
        write_page([random_trace(3)], path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]
