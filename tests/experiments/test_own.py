"""An environment and an agent of one's own, as the documentation writes them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import agents
import experiments.train
from tests.experiments.conftest import Call, read_json
from tests.pages import DOCS, blocks

SHORT = (
    *("--threads", "1", "--ppo.minibatches", "2", "--agent.width", "16"),
    *("--train.num-envs", "4", "--train.rollout-length", "4", "--train.longest-rollout", "4"),
    *("--train.total-steps", "32", "--eval.episodes", "2", "--eval.num-envs", "2"),
)
WATCH = ("watch", "run", "--seeds", "1", "--fps", "60")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the page's agent to `AGENTS`, as the page says."""
    module = ModuleType("agents.tiny")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(DOCS / "own-agent.md", "python"):
        if "(Agent[GRUMemory])" in block or "class TinyConfig" in block:
            exec(block, vars(module))
    config = module.TinyConfig
    monkeypatch.setitem(agents.AGENTS, config, module.Tiny)
    monkeypatch.setitem(agents.AGENT_CONFIGS, config.name, config)
    monkeypatch.setattr(experiments.train, "AgentConfig", agents.AgentConfig | config)


@pytest.fixture
def delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the page's environment in the working directory, as the page says."""
    (tmp_path / "delay.py").write_text(blocks(DOCS / "own-environment.md", "python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "delay", raising=False)


@pytest.mark.usefixtures("tiny")
def test_the_agent_of_the_page_trains_and_can_be_watched(call: Call, tmp_path: Path) -> None:
    done = call("train", "CartPole-v1", "--agent", "tiny", *SHORT, "--no-video", "--out", "run")
    assert done.code == 0, done.err
    entry = read_json(tmp_path / "run" / "config.json")["agent"]
    assert entry == {"name": "tiny", "options": {"width": 16}}
    done = call(*WATCH)
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "retention.mp4").exists()


@pytest.mark.usefixtures("delay")
def test_the_environment_of_the_page_trains_and_can_be_watched(call: Call, tmp_path: Path) -> None:
    done = call("train", "delay:Delay-v0", *SHORT, "--no-video", "--out", "run")
    assert done.code == 0, done.err
    assert call(*WATCH).line.endswith("if you trust it, add --trust delay")
    done = call(*WATCH, "--trust", "delay")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "retention.mp4").exists()


def test_an_environment_that_cannot_render_is_named(call: Call, tmp_path: Path) -> None:
    done = call("train", "tests.faulty:Faulty-v0", *SHORT, "--no-video", "--out", "run")
    assert done.code == 0, done.err
    line = call(*WATCH, "--trust", "tests.faulty").line
    problem = "cannot be filmed: its metadata['render_modes'] lacks 'rgb_array'"
    assert line == f"rl-expire: error: tests.faulty:Faulty-v0 {problem}"
    assert not (tmp_path / "run" / "retention.mp4").exists()
