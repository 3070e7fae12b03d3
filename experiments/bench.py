"""How fast it is: `python experiments/bench.py env`, `train`, `act` or `agents`."""

from __future__ import annotations

import cli
from bench_act import bench_act
from bench_agents import bench_agents
from bench_env import bench_env
from bench_train import bench_train

if __name__ == "__main__":
    cli.run({"env": bench_env, "train": bench_train, "act": bench_act, "agents": bench_agents})
