"""Make the runs behind the results of the documentation, then write its numbers from them.

python experiments/reproduce.py --list
python experiments/reproduce.py corridor --seeds 1
"""

from experiments.command_line.parse import call_of
from experiments.command_line.script import script
from experiments.reproduction.command import reproduce

if __name__ == "__main__":
    script(call_of(reproduce))
