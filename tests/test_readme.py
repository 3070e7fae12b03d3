"""What the README shows works, word for word but for the number of updates."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_examples_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example.replace("range(100)", "range(2)"), {})


def test_the_files_it_names_exist() -> None:
    root = Path(__file__).parents[1]
    tree = README.split("## What is here")[1].split("```")[1]
    folder, named = "", []
    for line in tree.splitlines():
        if re.match(r"\w+/", line):
            folder = line.split("/")[0]
            assert (root / folder).is_dir()
        named += [(folder, name) for name in re.findall(r"\w+\.py\b", line)]
    assert len(named) > 15
    for folder, name in named:
        assert (root / folder / name).exists(), f"{folder}/{name}"
