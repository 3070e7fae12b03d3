"""Go on with the run that a launch of torchrun has begun, after it restarted its processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.training.experiment import Experiment
from experiments.training.resume import check_contradictions, options_of_run
from experiments.trust import trusted_by_training
from rl_expire.learning import ranks
from rl_expire.runs.run_folder import RunFolder, RunFolderError

ENTRY = "torchrun"
"""Entry of `config.json` that says which launch of torchrun has made the run."""


def launch_entry() -> dict[str, Any]:
    """Return the entry of `config.json` of this launch of torchrun; empty without torchrun.

    Processes that torchrun starts anew, after one of them has ended, have the same entry.
    """
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    if run_id is None:
        return {}
    if run_id == "none":  # not given to torchrun, whose process then tells launches apart
        run_id = f"none-{os.getppid()}"
    return {ENTRY: {"launch": run_id, "processes": ranks.size()}}


def after_restart(options: Experiment) -> Experiment:
    """Return `options` with the run that this launch of torchrun has begun, if any, to resume.

    Raises:
        ValueError: that run has other options, or cannot be read.
    """
    path = ranks.on_first(lambda: _begun(options))
    return options if path is None else replace(options, resume=path, out=None)


def _begun(options: Experiment) -> Path | None:
    """Return the folder of the run that this launch has begun; remove one without a checkpoint."""
    if options.resume is not None or not launch_entry():
        return None
    for run in _made_by_this_launch([options.out] if options.out else Path("runs").glob("*")):
        if not run.checkpoints.exist:
            run.discard_unstarted()
            continue
        trust = trusted_by_training(options.id_of_env(), options.env_config().wrappers)
        before = options_of_run(type(options), run.path, trust)
        check_contradictions(before, replace(options, resume=run.path, out=None))
        print(f"resuming {run.path}, which this launch of torchrun has begun")
        return run.path
    return None


def _made_by_this_launch(paths: Iterable[Path]) -> list[RunFolder]:
    """Return those of the run folders that this launch of torchrun has made."""
    launch, made = launch_entry()[ENTRY]["launch"], []
    for path in paths:
        with suppress(RunFolderError):
            run, config = RunFolder.open(path)
            entry = config.get(ENTRY)
            if isinstance(entry, dict) and entry.get("launch") == launch:
                made.append(run)
    return made
