"""How fast it is: `python experiments/bench.py env`, `train` or `act`."""

from __future__ import annotations

import cli
from bench_act import bench_act
from bench_env import bench_env
from bench_train import bench_train

if __name__ == "__main__":
    cli.run({"env": bench_env, "train": bench_train, "act": bench_act})
