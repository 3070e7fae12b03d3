"""Describe an exported policy: its model card and its pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from experiments.exporting.graph import Graph
from experiments.scoring.measures import MEASURES
from rl_expire.runs.json_file import read_json
from rl_expire.runs.run_folder import CONFIG, RunFolder

CARD = "README.md"
VIDEO = "replay.mp4"
"""Name under which the Hugging Face Hub plays a video beside the card."""

HEAD = """---
library_name: rl-expire
pipeline_tag: reinforcement-learning
tags:
- reinforcement-learning
- memory
- {env_id}
---

# {agent} on {env_id}

A policy with memory, trained with rl_expire. To play it:

```python
import gymnasium

from agents.policy import load_policy

env = gymnasium.make({made_by!r}{options})
policy = load_policy("FOLDER OR OWNER/NAME", env)
obs, info = env.reset()
ended = False
while not ended:
    obs, reward, terminated, truncated, info = env.step(policy.act(obs, info))
    policy.observe(reward, terminated, truncated)
    ended = terminated or truncated
```
"""


def write_card(folder: Path, run: Path, graph: Graph | None) -> None:
    """Write the model card of an exported policy, and copy the video of its run if there is one.

    Args:
        folder: the exported policy.
        run: the run that it is from.
        graph: the graph beside it, if any.
    """
    source, config = RunFolder.open(run)
    env = config.get("env", {})
    options = "".join(f", {name}={value!r}" for name, value in env.get("options", {}).items())
    agent = config.get("agent", {}).get("name", "policy")
    env_id = env.get("id", "an environment")
    made_by = f"envs:{env_id}" if env_id.startswith("RLExpire/") else env_id  # imports `envs`
    parts = [HEAD.format(agent=agent, env_id=env_id, made_by=made_by, options=options)]
    if env.get("wrappers"):
        parts.append(f"Wrappers around the environment, the innermost first: {env['wrappers']}\n")
    parts.append(_training(folder, config))
    if graph is not None:
        parts.append(_of_graph(graph))
    if rows := _scores(source):
        parts.append("\n".join(["| measured | |", "| --- | ---: |", *rows]) + "\n")
    if source.video.exists():
        shutil.copyfile(source.video, folder / VIDEO)
        parts.append(f"[{VIDEO}]({VIDEO}) shows what it remembers.\n")
    (folder / CARD).write_text("\n".join(parts), encoding="utf-8")


def _training(folder: Path, config: dict[str, Any]) -> str:
    """Return how the policy was trained, of which an unfinished run may know little."""
    steps = read_json(folder / CONFIG)["exported"]["steps"]
    seed = f", seed {config['seed']}" if "seed" in config else ""
    commit = f", at commit {config['commit']} of rl_expire" if config.get("commit") else ""
    return f"Trained for {steps:,} steps{seed}{commit}.\n"


def _of_graph(graph: Graph) -> str:
    """Return what to know of the graph."""
    room = f", with room for {graph.memories} memories a layer" if graph.memories else ""
    return (
        f"`{graph.path.name}` is one step of it as a graph{room}: what goes from step to step is\n"
        "an input, and an output with `.next` after its name. Checked when it was written:\n"
        f"{graph.agreement}.\n"
    )


def _scores(run: RunFolder) -> list[str]:
    """Return a row for each number that a run was scored by; none if it was not."""
    try:
        results: dict[str, Any] = read_json(run.results)
    except ValueError:
        return []
    return [
        f"| {measure.label} | {results[measure.key]:.{measure.digits}f} |"
        for measure in MEASURES
        if measure.label and isinstance(results.get(measure.key), int | float)
    ]
