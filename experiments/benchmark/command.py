"""How fast it is: `python experiments/bench.py env`, `train`, `act` or `agents`."""

from __future__ import annotations

from experiments import cli
from experiments.benchmark.act import bench_act
from experiments.benchmark.agents import bench_agents
from experiments.benchmark.env import bench_env
from experiments.benchmark.train import bench_train


def main() -> None:
    """Run the command line."""
    cli.run({"env": bench_env, "train": bench_train, "act": bench_act, "agents": bench_agents})
