"""Time the parts: `python experiments/bench.py env`, `train`, `act`, `agents` or `peers`."""

from experiments.benchmark.command import bench_command
from experiments.command_line.script import script

if __name__ == "__main__":
    script(bench_command)
