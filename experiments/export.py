"""`rl-expire`: what can be done with a run without its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from experiments import cli
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
        out: Folder to make.
        best: Take the checkpoint with the best success at the hardest level reached, not the last.
    """
    export_policy(run, out, best=best)
    print(f"{out}: the policy of {run}, opened with agents.pretrained.load_policy")


def check(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Say of every checkpoint of a run whether it is whole; exit code 1 if one is not.

    Args:
        run: Run folder.
    """
    folder, _ = RunFolder.open(run)
    found = list(folder.checkpoints.check())
    for path, wrong in found:
        print(f"{path}: {wrong or 'good'}")
    if not found:
        print(f"{run} has no checkpoint")
    if any(wrong for _, wrong in found):
        raise SystemExit(1)


def main() -> None:
    """Run the command line."""
    cli.run({"export": export, "check": check})
