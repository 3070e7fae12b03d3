"""`rl-expire export` with a graph, a model card, and the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest
import torch

from experiments.exporting import graph
from experiments.exporting.graph import write_graph
from tests.experiments.conftest import Call

pytestmark = pytest.mark.usefixtures("own_run", "few_steps")


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare graph and agent over few steps only."""
    monkeypatch.setattr(graph, "STEPS", 50)


def test_a_graph_is_written_and_compared_with_the_agent(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run" / "retention.mp4").write_bytes(b"video")
    done = call("export", "run", "policy", "--format", "torch")
    assert done.code == 0, done.err
    assert "the same actions as the agent in 100.0% of 100 steps" in done.out
    step = torch.export.load(tmp_path / "policy" / "policy.pt2").module()
    assert callable(step)
    card = (tmp_path / "policy" / "README.md").read_text()
    assert "expire-span on RLExpire/Corridor-v0" in card
    assert "| success |" in card
    assert "policy.pt2" in card
    assert (tmp_path / "policy" / "replay.mp4").read_bytes() == b"video"


def test_slots_set_the_size_of_the_memory(call: Call, tmp_path: Path) -> None:
    assert call("export", "run", "policy", "--format", "torch", "--slots", "3").code == 0
    program = torch.export.load(tmp_path / "policy" / "policy.pt2")
    assert program.example_inputs is not None
    (example,), _ = program.example_inputs
    assert example["memory.layers.0.key"].shape[2] == 3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--slots", "4"), "--slots is for a graph"),
        (("--slots", "0", "--format", "torch"), "--slots is 0"),
        (("--push", "nobody"), "--push nobody is not the id of a repository"),
        (("--format", "tf"), "--format"),
    ],
)
def test_wrong_options_write_nothing(
    words: tuple[str, ...], problem: str, call: Call, tmp_path: Path
) -> None:
    assert problem in call("export", "run", "policy", *words).line
    assert not (tmp_path / "policy").exists()


def test_slots_are_for_agents_with_lifetimes(lstm_run: Path) -> None:
    with pytest.raises(ValueError, match="--slots is for agents with lifetimes, not lstm"):
        write_graph(lstm_run, "torch", 4, ())


class Hub:
    """Stands in for the Hub's client."""

    uploads: ClassVar[list[tuple[str, list[str]]]] = []

    def create_repo(self, repository: str, *, exist_ok: bool) -> str:
        assert exist_ok
        return f"https://hub/{repository}"

    def upload_folder(self, *, repo_id: str, folder_path: Path) -> None:
        self.uploads.append((repo_id, sorted(path.name for path in folder_path.iterdir())))


class NoHub(Hub):
    """A Hub that cannot be reached."""

    def create_repo(self, *_: Any, **__: Any) -> str:
        raise OSError("no network")


def test_the_folder_is_uploaded(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    done = call("export", "run", "policy", "--push", "owner/name")
    assert "https://hub/owner/name: uploaded" in done.out
    assert Hub.uploads == [("owner/name", ["README.md", "config.json", "model.safetensors"])]


def test_a_hub_that_cannot_be_reached_loses_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", NoHub)
    line = call("export", "run", "policy", "--push", "owner/name").line
    assert "policy is written, but --push owner/name failed: no network" in line
    assert (tmp_path / "policy" / "model.safetensors").exists()
