"""Share the policy of a run, and check its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from rl_expire.runs.policy import export_policy
from rl_expire.runs.run_folder import RunFolder


def export(
    run: Annotated[Path, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    best: bool = False,
) -> None:
    """Write the policy of a run into a new folder, to be shared: model.safetensors, config.json.

    Args:
        run: Run folder.
        out: Folder to create.
        best: Take the checkpoint with the best success at the hardest level reached, not the last.
    """
    export_policy(run, out, best=best)
    print(f"{out}: the policy of {run}; open it with agents.policy.load_policy")


def check(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Check that a run has checkpoints and that all are whole; otherwise exit with code 1.

    Args:
        run: Run folder.
    """
    folder, _ = RunFolder.open(run)
    found = list(folder.checkpoints.check())
    for path, problem in found:
        print(f"{path}: {problem or 'good'}")
    if not found:
        print(f"{run} has no checkpoint")
    if not found or any(problem for _, problem in found):
        raise SystemExit(1)
