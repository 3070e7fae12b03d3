"""Share the policy of a run, and check its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from experiments.command_line.errors import at_least, installed
from experiments.exporting.card import write_card
from experiments.exporting.graph import Graph, write_graph
from experiments.exporting.hub import check_push, push
from experiments.exporting.spaces import add_spaces
from rl_expire.runs.policy import export_policy
from rl_expire.runs.run_folder import RunFolder


def export(
    run: Annotated[Path, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    best: bool = False,
    format: Literal["weights", "onnx", "torch"] = "weights",
    slots: int | None = None,
    push_to: Annotated[str | None, tyro.conf.arg(name="push")] = None,
    trust: tuple[str, ...] = (),
) -> None:
    """Write the policy of a run into a new folder: model.safetensors, config.json, a model card.

    Args:
        run: Run folder.
        out: Folder to create.
        best: Take the checkpoint with the best success at the hardest level reached, not the last.
        format: Also write one step of the policy as a graph that needs neither this package nor
            the environment: policy.onnx, or policy.pt2 for torch.export.
        slots: Memories that each layer of the graph can hold, for agents with lifetimes; by default
            twice as many as are held at most in a thousand steps.
        push_to: Repository owner/name on the Hugging Face Hub to upload the folder to.
        trust: Modules that the environment of RUN may import, besides those of rl_expire, Gymnasium
            and MiniGrid; needed for a graph, and for the spaces of runs of versions before 0.2.
    """
    if push_to is not None:
        check_push(push_to)
    if format == "onnx":
        installed("onnxscript", "onnxruntime", extra="onnx", without="--format torch")
    if slots is not None:
        at_least(1, slots=slots)
        if format == "weights":
            raise ValueError("--slots is for a graph: add --format onnx or --format torch")
    graphs: list[Graph] = []

    def add_files(folder: Path) -> None:
        """Write what belongs to the policy besides weights and configuration."""
        add_spaces(folder, trust)
        if format != "weights":
            graphs.append(write_graph(folder, format, slots, trust))
        write_card(folder, run, graphs[0] if graphs else None)

    export_policy(run, out, best=best, add_files=add_files)
    print(f"{out}: the policy of {run}; open it with agents.policy.load_policy")
    for graph in graphs:
        room = f"room for {graph.memories} memories a layer; " if graph.memories else ""
        print(f"{out / graph.path.name}: {room}{graph.agreement}")
    if push_to is not None:
        print(f"{push(out, push_to)}: uploaded")


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
