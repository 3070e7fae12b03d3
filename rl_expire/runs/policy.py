"""Policies to share: weights as safetensors, all else as JSON; opening one runs no code.

A folder, or a repository of the Hugging Face Hub, holds `model.safetensors` and `config.json`.
Nothing but these two is ever looked at, and no name in them is used as a path.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rl_expire.runs.checkpoint import CheckpointError, read_tensors, save_weights, sync_folder
from rl_expire.validate import check_finite, check_fit
from rl_expire.runs.run_folder import RunFolder, RunFolderError, write_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"
LARGEST_CONFIG = 2**20
HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)


def weights_of(state: Any) -> dict[str, Tensor]:
    """Return the agent's weights in the checkpoint of a run.

    Raises:
        ValueError: it has none.
    """
    try:
        return state["trainer"]["agent"]
    except (LookupError, TypeError):
        raise ValueError("it does not fit the agent: it has no weights of one") from None


def set_weights(agent: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put `weights` into `agent`.

    Raises:
        ValueError: they do not fit, or are not finite; the agent is as it was.
    """
    try:
        check_fit(weights, agent.state_dict(), "weights")
    except ValueError as error:
        raise ValueError(f"it does not fit the agent: {error}") from None
    agent.load_state_dict(weights)


def export_policy(run: Path, out: Path, *, best: bool = False) -> None:
    """Write the policy of a run into a new folder, whole or not at all.

    Args:
        run: run folder.
        out: folder to make.
        best: take the best checkpoint, where there is one, in place of the last.

    Raises:
        ValueError: `run` is no run, or has no good checkpoint, or `out` cannot be made.
    """
    folder, config = RunFolder.open(run)
    if out.exists():
        raise RunFolderError(f"{out} exists already: give another folder")
    taken = folder.checkpoints.load(_to_share, best=best)
    temporary = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_weights(taken["weights"], temporary / WEIGHTS)
        write_json(temporary / CONFIG, config | {"exported": taken["told"]})
        os.rename(temporary, out)
        sync_folder(out.parent)
    except OSError as error:
        raise RunFolderError(
            f"{out} cannot be written ({error.strerror or error}): give another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _to_share(state: Any) -> dict[str, Any]:
    """Return of a checkpoint what is worth sharing."""
    weights = weights_of(state)
    for name, value in weights.items():
        check_finite(value, name)
    told = {"updates": state["trainer"]["updates"], "steps": state["trainer"]["schedule"]["steps"]}
    return {"weights": weights, "told": told}


def read_policy(
    source: str | Path, *, revision: str | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and weights of an exported policy.

    Args:
        source: a folder, or the id `owner/name` of a repository on the Hugging Face Hub.
        revision: branch, tag or commit there; pin a commit to get the same weights for ever.

    Raises:
        ValueError: there is no policy, or it is damaged.
    """
    folder = Path(source)
    if str(source) and folder.is_dir():
        files = folder / CONFIG, folder / WEIGHTS
    elif HUB_ID.fullmatch(str(source)):
        files = _from_hub(str(source), revision)
    else:
        raise ValueError(f"{str(source)!r} is no folder, and no id owner/name on the Hub: give one")
    config = _config(files[0])
    try:
        weights, _ = read_tensors(files[1])
        for name, value in weights.items():
            check_finite(value, name[:60])
    except FileNotFoundError:
        raise CheckpointError(
            f"{source} has no {WEIGHTS}: give what rl-expire export made"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{source}: {WEIGHTS} cannot be used: {error}") from error
    return config, weights


def _config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("it is too large")
        config = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no configuration of a policy ({error})") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is no configuration of a policy")
    return config


def _from_hub(repository: str, revision: str | None) -> tuple[Path, Path]:
    """Fetch the two files, or find them where they were fetched before."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ValueError(
            f"{repository} is no folder here, and huggingface_hub is not installed: "
            "pip install 'rl-expire[hub]'"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        config, weights = (
            Path(hf_hub_download(repository, name, revision=revision)) for name in (CONFIG, WEIGHTS)
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{repository} cannot be fetched from the Hub: {why}") from error
    return config, weights
