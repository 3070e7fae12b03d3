"""Predict characters with several kinds of memory, side by side.

python experiments/language.py
python experiments/language.py --text book.txt --models expire-span:512 transformer-xl:512
"""

from __future__ import annotations

import multiprocessing
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, get_args

import tyro
from rich.console import Console

from experiments.characters.model import Body, Kind
from experiments.characters.report import table, write_figure, write_table
from experiments.characters.text import read_text, split
from experiments.characters.train import Trained, train
from experiments.characters.training import Training
from experiments.command_line.errors import installed, with_flag
from experiments.command_line.parse import Call, call_of
from experiments.command_line.script import script
from rl_expire.runs.json_file import read_json, write_json
from rl_expire.runs.provenance import commit, hardware

MODELS = (
    *("transformer-xl:64", "transformer-xl:256", "transformer-xl:1024"),
    *("adaptive-span:1024", "compressive:256", "expire-span-joint:1024", "expire-span:1024"),
)


def language(
    models: tuple[str, ...] = MODELS,
    out: Path = Path("runs/language"),
    body: Annotated[Body, tyro.conf.arg(name="")] = Body(),  # noqa: B008 (it is frozen)
    training: Annotated[Training, tyro.conf.arg(name="")] = Training(),  # noqa: B008
) -> None:
    """Predict characters with several kinds of memory, side by side.

    Args:
        models: NAME:SIZE each: what layers remember, and their window or longest lifetime in steps.
        out: Folder for the table, the figure, and the result of each model. A model with a result
            of the same options there is not trained again.
        body: What all models share.
        training: How they learn.
    """
    installed("matplotlib")
    chosen = [read_model(word) for word in models]
    split(read_text(training.text, training.most), training.rows, training.steps)  # or refuse it
    out.mkdir(parents=True, exist_ok=True)
    text = str(training.text)  # JSON knows no paths
    given = {"body": asdict(body), "training": asdict(training) | {"text": text}}
    results = []
    for kind, size in chosen:
        path = out / f"{kind}-{size}.json"
        result = earlier_result(path, given)
        if result is None:
            result = train_alone(kind, size, body, training)
            write_json(path, given | {"result": asdict(result), "commit": commit()})
        results.append(result)
        print(f"{kind}:{size}: {result.bits:.3f} bits, {result.held:.0f} held", flush=True)
    Console().print(table(results))
    write_table(results, out / "table.md", f"Commit {commit()}, {hardware()}")
    write_figure(results, out / "quality.svg")
    print(f"{out}: table.md, quality.svg")


def train_alone(kind: Kind, size: int, body: Body, training: Training) -> Trained:
    """Train a model in a process of its own, so that the peak of its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(train, (kind, size, body, training))


def earlier_result(path: Path, given: dict[str, object]) -> Trained | None:
    """Return a result that was made with the same options, if there is one."""
    if not path.exists():
        return None
    saved = read_json(path)
    same = all(saved.get(name) == value for name, value in given.items())
    return Trained(**saved["result"]) if same else None


def read_model(word: str) -> tuple[Kind, int]:
    """Return kind and size of NAME:SIZE.

    Raises:
        ValueError: it is not of that form.
    """
    name, _, size = word.partition(":")
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if name not in kinds or not size.isdecimal() or int(size) < 2:
        raise ValueError(
            f"--models {word} is not NAME:SIZE: NAME is one of {', '.join(kinds)}, SIZE 2 or more"
        )
    return kinds[name], int(size)


def language_command(words: list[str], prog: str) -> Call:
    """Parse the command line; errors name its options."""
    try:
        return call_of(language)(words, prog)
    except ValueError as error:
        raise with_flag(
            error, [f.name for part in (Body, Training) for f in fields(part)]
        ) from error


if __name__ == "__main__":
    script(language_command)
