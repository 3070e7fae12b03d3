"""`python -m experiments` is `rl-expire`."""

from experiments.cli import main

if __name__ == "__main__":
    main()
