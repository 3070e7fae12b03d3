"""How fast it is: `python experiments/bench.py env`, `train`, `act` or `agents`."""

from experiments.benchmark.command import main

if __name__ == "__main__":
    main()
