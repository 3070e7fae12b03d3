"""Compare agents at several memory sizes, over seeds, on equal terms.

python experiments/compare.py corridor
python experiments/compare.py corridor --agents expire-span lstm --seeds 1 2 -- --env.num-cues 4

Every cell is an ordinary run of that experiment, made by the command that the table prints beside
it. What is finished is skipped and what was interrupted goes on, so the same command can be given
again at any time. Words after `--` are handed to every run.
"""

from experiments.comparison.command import main

if __name__ == "__main__":
    main()
