"""Compare agents at several memory sizes, over seeds, on equal terms.

python experiments/compare.py corridor
python experiments/compare.py corridor --agents expire-span lstm --seeds 1 2 -- --env.num-cues 4

Every cell is an ordinary run of the task, made by the command that the table prints beside it.
Finished runs are skipped and interrupted ones resumed, so the same command can be given again at
any time. Words after `--` are options of every run.
"""

from experiments.command_line.script import script
from experiments.comparison.command import compare_command

if __name__ == "__main__":
    script(compare_command)
