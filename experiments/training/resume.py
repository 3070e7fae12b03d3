"""Resume a run: find it, read its options, and refuse options that contradict them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agents.pretrained import read_agent_config
from experiments.open_run import read_run
from experiments.training.experiment import Experiment
from rl_expire.runs.run_folder import RunFolderError, latest_run
from rl_expire.validate import check_number, options_from_json

MAY_CHANGE = (
    *(("train", name) for name in ("total_steps", "checkpoint_every", "keep_last", "most_skipped")),
    *(("ppo", "learning_rate"), ("forgetting", "learning_rate")),
    *(("faults", name) for name in ("on_env_fault", "most_env_faults", "env_timeout")),
)
"""Options that may differ from those the run was made with."""


def run_to_resume(experiment: type[Experiment], name: str) -> Path:
    """Return the run folder that `--resume NAME` means.

    Raises:
        ValueError: it is `latest`, and there is no run of this task.
    """
    if name != "latest":
        return Path(name)
    try:
        path = latest_run(Path("runs"), experiment.env_id, experiment.made)
    except ValueError as error:
        raise ValueError(f"--resume latest: {error}") from error
    print(f"--resume latest: resuming {path}")
    return path


def options_of_run(
    experiment: type[Experiment], path: Path, trust: Collection[str] = ()
) -> Experiment:
    """Return the options that the run at `path` was made with, with `path` as their `resume`.

    Args:
        experiment: the task.
        path: run folder.
        trust: modules that the environment and its wrappers may come from (see `check_trusted`).

    Raises:
        ValueError: it is no run, a run of another task, or needs modules that are not trusted.
    """
    folder, config = read_run(path, trust)
    entry = config["env"]
    try:
        if experiment.made(entry):
            default = experiment()
            made = {
                name: options_from_json(type(getattr(default, name)), config[name], name)
                for name in default.groups
            }
            made["env"] = default.env_from(entry)
            agent = read_agent_config(config["agent"])
            seed = check_number(config["seed"], int, 0, 2**32 - 1, "seed")
            return replace(default, seed=seed, resume=path, agent=agent, **made)
    except (LookupError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{folder.config} does not have the options of this version ({error}): "
            "choose another run, or start a new one"
        ) from error
    raise ValueError(
        f"--resume {path} is a run of {entry['id'][:80]}, "
        f"not of {experiment.env_id}: use the command of that environment"
    )


def check_contradictions(before: Experiment, now: Experiment) -> None:
    """Refuse options that differ from those a run was made with, except for `MAY_CHANGE`.

    Raises:
        ValueError: one does; the message names it and both values.
    """
    if now.out is not None:
        raise ValueError(f"--out {now.out} makes a new run: leave it or --resume out")
    if now.seed != before.seed:
        raise contradiction(before, "--seed", now.seed, before.seed)
    for group in ("env", "agent", *now.groups):
        given, made_with = asdict(getattr(now, group)), asdict(getattr(before, group))
        for name, value in given.items():
            if value != made_with[name] and (group, name) not in MAY_CHANGE:
                raise contradiction(before, now.flag(group, name), value, made_with[name])


def contradiction(before: Experiment, option: str, now: Any, then: Any) -> ValueError:
    """Return the error for an option that contradicts the run to resume."""
    return ValueError(
        f"{option} {now} contradicts --resume {before.resume}, which was made with {then}: "
        "leave it out, or start a new run"
    )
