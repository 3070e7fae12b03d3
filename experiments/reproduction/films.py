"""Films of the documentation: an episode of a result's first agent, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.runs import Run
from experiments.reproduction.result import Result
from experiments.watching.film import film
from rl_expire.vector.faults import error_summary


def film_file(folder: Path, result: Result) -> Path:
    """Return the file of a result's film, in the folder of the measured figures of all results."""
    return folder / result.name / "film.gif"


def film_command(result: Result) -> str:
    """Return a line that says what the film shows, and the command that makes it."""
    assert result.film is not None
    run = result.run(result.rows[0], result.seeds[0], Path("runs/reproduce"))
    level = [] if result.film.level is None else ["--level", str(result.film.level)]
    words = [str(run.folder.path), "--seeds", str(result.film.episode), *level]
    return f"{result.rows[0].label} in one episode: `rl-expire watch {' '.join(words)} --gif FILE`."


def is_filmed(result: Result, run: Run) -> bool:
    """Return whether a run is the one that a result films: of its first row and first seed."""
    chosen = result.film is not None
    return chosen and (run.variant, run.seed) == (result.rows[0].agent, result.seeds[0])


def make_film(folder: Path, result: Result, runs: Sequence[Run]) -> None:
    """Film the run that a result films, if it is finished and there is no film of it yet.

    Whatever fails here, such as the rendering of an environment, is one warning: scores count more.
    """
    path = film_file(folder, result)
    for run in runs:
        results = run.folder.results
        if not is_filmed(result, run) or not results.exists() or is_newer(path, results):
            continue
        assert result.film is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            film(run.folder.path, seeds=(result.film.episode,), level=result.film.level, gif=path)
        except Exception as error:
            print(f"warning: no film of {run.name}: {error_summary(error)}")


def is_newer(path: Path, than: Path) -> bool:
    """Return whether a file exists and was written after another."""
    return path.exists() and path.stat().st_mtime_ns > than.stat().st_mtime_ns
