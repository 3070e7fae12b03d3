"""The command `bench`: time environments, training or acting."""

from __future__ import annotations

from experiments.benchmark.act import bench_act
from experiments.benchmark.agents import bench_agents
from experiments.benchmark.env import bench_env
from experiments.benchmark.memory import bench_memory
from experiments.benchmark.peers import bench_peers
from experiments.benchmark.train import bench_train
from experiments.command_line.parse import call_of, one_of

bench_command = one_of(
    {
        "env": (call_of(bench_env), "environments with random actions, beside MiniGrid's"),
        "train": (call_of(bench_train), "training, and its shares: environments, acting, learning"),
        "act": (call_of(bench_act), "a trained agent in episodes of several levels of difficulty"),
        "agents": (call_of(bench_agents), "trained agents side by side: acting and learning"),
        "memory": (call_of(bench_memory), "one layer, by the number of memories that it holds"),
        "peers": (call_of(bench_peers), "training, beside that of sb3-contrib on the same task"),
    },
    "Time environments, training or acting.",
)
"""The command `bench` and its subcommands."""
