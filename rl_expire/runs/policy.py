"""Exported policies: `model.safetensors` and `config.json`, in a folder or on the Hub.

Of a run, the last checkpoint takes the place of the weights. Opening a policy runs no code from it.
No other file is read, and no name in these is used as a path.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from rl_expire.runs.atomic import atomic_folder
from rl_expire.runs.checkpoint import CheckpointError, read_tensors, save_weights
from rl_expire.runs.earlier_versions import (
    complete_obs_stats,
    complete_weights,
    rename_trainer_state,
)
from rl_expire.runs.json_file import read_json, write_json
from rl_expire.runs.run_folder import CONFIG, RunFolder
from rl_expire.types import Agent
from rl_expire.validate import check_finite, check_fit

WEIGHTS = "model.safetensors"
HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)


def agent_weights(state: Any) -> dict[str, Tensor]:
    """Return the agent's weights from the checkpoint of a run.

    Raises:
        ValueError: it has none.
    """
    try:
        return state["trainer"]["agent"]
    except (LookupError, TypeError):
        raise ValueError("it does not fit the agent: it holds no weights of an agent") from None


def set_weights(agent: Agent[Any], weights: dict[str, Tensor]) -> None:
    """Load `weights` into `agent`, for acting.

    Parameters that only losses use stay as they are where `weights` has none of the same shape:
    other versions may use others.

    Raises:
        ValueError: they do not fit or are not finite; the agent is unchanged.
    """
    weights = complete_obs_stats(complete_weights(weights), agent.state_dict())
    only_losses = {id(p) for p in agent.loss_parameters()}
    for name, p in agent.named_parameters():
        if id(p) in only_losses and (name not in weights or weights[name].shape != p.shape):
            weights[name] = p.detach()
    try:
        check_fit(weights, agent.state_dict(), "weights")
    except ValueError as error:
        raise ValueError(f"it does not fit the agent: {error}") from None
    agent.load_state_dict(weights)


def export_policy(
    run: Path,
    out: Path,
    *,
    best: bool = False,
    add_files: Callable[[Path], None] | None = None,
) -> None:
    """Export the policy of a run to a new folder, atomically.

    Args:
        run: run folder.
        out: folder to make.
        best: export the best checkpoint, if there is one, instead of the last.
        add_files: writes more files into the folder, which has its name only after that.

    Raises:
        ValueError: `run` is not a run or has no usable checkpoint, or `out` cannot be made.
    """
    folder, config = RunFolder.open(run)
    weights, progress = folder.checkpoints.load(_exported, best=best)
    with atomic_folder(out) as temporary:
        save_weights(weights, temporary / WEIGHTS)
        write_json(temporary / CONFIG, config | {"exported": progress})
        if add_files is not None:
            add_files(temporary)


def _finite_weights(state: Any) -> dict[str, Tensor]:
    """Return the agent's weights from the checkpoint of a run.

    Raises:
        ValueError: it has none, or one is not finite.
    """
    weights = agent_weights(state)
    for name, value in weights.items():
        check_finite(value, name)
    return weights


def _exported(state: Any) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the weights of a checkpoint, and the updates and steps it was trained for.

    Raises:
        ValueError: it is not the checkpoint of a run, or a weight is not finite.
    """
    weights = _finite_weights(state)
    trainer = rename_trainer_state(state["trainer"])
    try:
        return weights, {"updates": trainer["updates"], "steps": trainer["schedule"]["steps"]}
    except (LookupError, TypeError):
        raise ValueError("it is not the checkpoint of a run") from None


def read_policy(
    source: str | Path, *, revision: str | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the configuration and the weights of an exported policy, or of a run's last checkpoint.

    Args:
        source: a folder, or the id `owner/name` of a repository on the Hugging Face Hub.
        revision: branch, tag or commit on the Hub; only a commit always gives the same weights.

    Raises:
        ValueError: there is no policy, or it is damaged.
    """
    folder = Path(source)
    if str(source) and folder.is_dir():
        config_path, weights_path = folder / CONFIG, folder / WEIGHTS
    elif HUB_ID.fullmatch(str(source)):
        config_path, weights_path = _download(str(source), revision)
    else:
        raise ValueError(
            f"{str(source)!r} is neither a folder nor an id owner/name on the Hub: choose one"
        )
    try:
        config = read_json(config_path)
    except ValueError as error:
        raise CheckpointError(f"{error}: choose the folder of an exported policy") from error
    checkpoints = RunFolder(folder).checkpoints
    if checkpoints.exist and not weights_path.exists():
        return config, checkpoints.load(_finite_weights)
    try:
        weights, _ = read_tensors(weights_path)
        for name, value in weights.items():
            check_finite(value, name[:60])
    except FileNotFoundError:
        raise CheckpointError(
            f"{source} has no {WEIGHTS}: choose the folder of an exported policy or of a run"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{source}: {WEIGHTS} cannot be used: {error}") from error
    return config, weights


def _download(repository: str, revision: str | None) -> tuple[Path, Path]:
    """Download the two files from the Hub, or find them in its cache."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ValueError(
            f"{repository} is not a folder, and huggingface_hub is not installed: "
            "pip install 'rl-expire[hub]'"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        config, weights = (
            Path(hf_hub_download(repository, name, revision=revision)) for name in (CONFIG, WEIGHTS)
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{repository} cannot be fetched from the Hub: {reason}") from error
    return config, weights
