"""Resume a run: find it, read its options, and refuse options that contradict them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agents import AGENT_CONFIGS
from experiments.training.experiment import Experiment
from rl_expire.runs.run_folder import RunFolder, RunFolderError, latest_run

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


def options_of_run(experiment: type[Experiment], path: Path) -> Experiment:
    """Return the options that the run at `path` was made with, with `path` as their `resume`.

    Raises:
        ValueError: it is no run, or a run of another task.
    """
    folder, config = RunFolder.open(path)
    try:
        env_id = config["env"]["id"]
        if experiment.made(config["env"]):
            default = experiment()
            made = {name: type(getattr(default, name))(**config[name]) for name in default.groups}
            made["env"] = default.env_from(config["env"])
            agent = AGENT_CONFIGS[config["agent"]["name"]](**config["agent"]["options"])
            return replace(default, seed=config["seed"], resume=path, agent=agent, **made)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RunFolderError(
            f"{folder.config} does not have the options of this version ({error}): "
            "choose another run, or start a new one"
        ) from error
    raise ValueError(
        f"--resume {path} is a run of {str(env_id)[:80]}, "
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
