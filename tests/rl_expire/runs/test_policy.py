"""Exported policies: written whole, opened from a folder or the Hub, refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from agents import ExpireSpanConfig, TransformerXLConfig, make_agent
from agents.pretrained import load_agent
from rl_expire.runs.checkpoint import save_weights
from rl_expire.runs.policy import export_policy, set_weights
from rl_expire.runs.run_folder import RunFolder
from tests.support import ACTIONS, SMALL, VECTOR, expire_agent, full, same_tree


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run whose best checkpoint is not its last."""
    options = dict(vars(SMALL))
    run = RunFolder.create(
        tmp_path / "run", {"agent": {"name": ExpireSpanConfig.name, "options": options}}
    )
    for n in (1, 2):
        state = {
            "agent": expire_agent(seed=n).state_dict(),
            "updates": n,
            "schedule": {"steps": 10 * n},
        }
        run.checkpoints.save({"trainer": state, "seconds": 1.0}, n, keep=2, best=n == 1)
    return run


def refusal(source: Any, **options: Any) -> str:
    """The line in which a policy is refused."""
    with pytest.raises(ValueError, match=r"\S") as caught:
        load_agent(source, VECTOR, ACTIONS, **options)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("best", [False, True])
def test_an_exported_policy_is_the_same_agent(best: bool, run: RunFolder, tmp_path: Path) -> None:
    export_policy(run.path, tmp_path / "out", best=best)
    assert sorted(os.listdir(tmp_path / "out")) == ["config.json", "model.safetensors"]
    agent = load_agent(tmp_path / "out", VECTOR, ACTIONS)
    same_tree(dict(agent.state_dict()), dict(expire_agent(seed=1 if best else 2).state_dict()))
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == agent.state_dict().keys()
    exported = json.loads((tmp_path / "out" / "config.json").read_text())["exported"]
    assert exported == ({"updates": 1, "steps": 10} if best else {"updates": 2, "steps": 20})


@pytest.mark.parametrize("broken", ["os.rename", "os.fsync"])
def test_on_a_full_disk_no_half_policy_is_left(
    broken: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, full)
    with pytest.raises(ValueError, match="out cannot be written"):
        export_policy(run.path, tmp_path / "out")
    assert os.listdir(tmp_path) == ["run"]


def test_an_existing_folder_is_not_written_into(run: RunFolder) -> None:
    before = sorted(run.path.rglob("*"))
    with pytest.raises(ValueError, match="exists already"):
        export_policy(run.path, run.path)
    assert sorted(run.path.rglob("*")) == before


def test_weights_that_do_not_fit_or_are_not_finite_are_refused(
    run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_policy(run.path, out)
    good = {k: v.clone() for k, v in load_file(out / "model.safetensors").items()}
    name = "heads.value.weight"
    for changed, message in (
        ({name: good[name] * torch.nan}, "not finite"),
        ({name: good[name][:, :-1]}, "has shape (1, 15), not (1, 16)"),
        ({name: good[name].double()}, "torch.float64, not torch.float32"),
        ({"../" * 9 + "etc/passwd": torch.ones(1)}, "has unknown keys"),
    ):
        save_weights(good | changed, out / "model.safetensors")
        assert message in refusal(out)
    del good[name]
    save_weights(good, out / "model.safetensors")
    assert f"lacks {name}" in refusal(out)
    (out / "model.safetensors").write_bytes(b"\x80\x04nonsense")
    assert "cannot be used" in refusal(out)
    (out / "model.safetensors").unlink()
    assert "has no model.safetensors" in refusal(out)


@pytest.mark.parametrize(
    "config",
    [
        *("", "[1]", "{}", "[" * 100_000, '{"agent": 3}', '{"agent": {"name": [], "options": {}}}'),
        '{"agent": {"name": "os.system", "options": {}}}',
        '{"agent": {"name": "lstm", "options": {"width": -1}}}',
        '{"agent": {"name": "lstm", "options": {"magic": 1}}}',
        " " * 2_000_000,
    ],
)
def test_invalid_configurations_are_refused(config: str, run: RunFolder, tmp_path: Path) -> None:
    export_policy(run.path, tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text(config)
    assert "config" in refusal(tmp_path / "out")


@pytest.mark.parametrize(
    "sizes",
    [
        *({"width": 1024}, {"layers": 1000}, {"feed_forward": 10**6}, {"width": 10**9}),
        *({"layers": 10**9}, {"window": 2**70}, {"window": "wide"}, {"window": 1.5}),
    ],
    ids=str,
)
def test_an_agent_larger_than_its_weights_is_not_built(
    sizes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: dict[str, Any] = {"width": 16, "heads": 2}
    agent = make_agent(VECTOR, ACTIONS, TransformerXLConfig(**small))
    save_weights(agent.state_dict(), tmp_path / "model.safetensors")
    entry = {"name": "transformer-xl", "options": small | sizes}
    (tmp_path / "config.json").write_text(json.dumps({"agent": entry}))
    monkeypatch.setattr("agents.pretrained.make_agent", lambda *_: pytest.fail("it was built"))
    refusal(tmp_path)


@pytest.mark.parametrize("source", ["nowhere", "../a/b", "/no/such", "a/b/c", "", "a/b\n"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(source: str) -> None:
    assert "is neither a folder nor an id owner/name on the Hub" in refusal(source)


def test_from_the_hub_only_the_two_files_are_downloaded(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    export_policy(run.path, tmp_path / "out")
    requests = []

    def download(repository: str, name: str, revision: str | None) -> str:
        requests.append((repository, name, revision))
        return str(tmp_path / "out" / name)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    agent = load_agent("somebody/expire", VECTOR, ACTIONS, revision="abc")
    same_tree(dict(agent.state_dict()), dict(expire_agent(seed=2).state_dict()))
    files = ("config.json", "model.safetensors")
    assert requests == [("somebody/expire", name, "abc") for name in files]

    def offline(*_: Any, **__: Any) -> str:
        raise OSError("no connection\nat all")

    monkeypatch.setattr(hub, "hf_hub_download", offline)
    assert "somebody/expire cannot be fetched from the Hub" in refusal("somebody/expire")


def test_without_the_extra_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'rl-expire[hub]'" in refusal("somebody/expire")


def test_an_agent_that_refuses_weights_is_unchanged() -> None:
    agent = make_agent(VECTOR, ACTIONS, SMALL)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit the agent"):
        set_weights(agent, {**before, "heads.value.bias": torch.tensor([torch.inf])})
    same_tree(dict(agent.state_dict()), before)


@pytest.mark.parametrize("change", ["missing", "another shape"])
def test_what_only_losses_use_may_be_missing_or_of_another_shape(change: str) -> None:
    agent, trained = (expire_agent(seed=seed, reconstruct=1.0) for seed in (1, 2))
    only_losses = {id(p) for p in trained.loss_parameters()}
    names = {name for name, p in trained.named_parameters() if id(p) in only_losses}
    assert len(names) == 4
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    weights = {name: value for name, value in trained.state_dict().items() if name not in names}
    other = {} if change == "missing" else {name: torch.zeros(7) for name in names}
    set_weights(agent, weights | other)
    same_tree(dict(agent.state_dict()), weights | {name: before[name] for name in names})
