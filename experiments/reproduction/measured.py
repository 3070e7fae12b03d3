"""The figures measured for a result, in a JSON file that the documentation keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.earlier import LARGEST, merge
from experiments.comparison.options import Options, first_difference, resolved
from experiments.comparison.record import Record, read_record
from experiments.comparison.runs import Run
from experiments.reproduction.result import Result
from experiments.tasks import experiment_of
from experiments.training.command_line import parse_options
from experiments.training.config_file import configuration
from rl_expire.runs.json_file import nonfinite_to_none, read_json, write_json

POINTS = 100
"""Most points of a learning curve that are kept."""


def measured_file(folder: Path, result: Result) -> Path:
    """Return the file of a result in the folder of all of them."""
    return folder / f"{result.name}.json"


def read_measured(folder: Path, result: Result) -> list[Record]:
    """Return the records of a result's runs; none if nothing has been measured.

    Raises:
        ValueError: the file is not one that `write_measured` has written.
    """
    path = measured_file(folder, result)
    if not path.exists():
        return []
    try:
        return list(read_json(path, LARGEST)["runs"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} does not hold runs: delete it to measure it anew") from error


def write_measured(folder: Path, result: Result, runs: Sequence[Run]) -> bool:
    """Write the records of the runs that are finished; each replaces an earlier one of its seed.

    Returns:
        Whether the file has changed; without any finished run, nothing is written.
    """
    finished = [run for run in runs if run.is_finished(result.levels)]
    if not finished:
        return False
    wanted = {run.variant: wanted_options(run) for run in finished}
    new = [record_of(run, wanted[run.variant], result.levels) for run in finished]
    before = read_measured(folder, result)
    records = merge(before, new, [row.agent for row in result.rows])
    if records == before:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    about = {"result": result.name, "title": result.title}
    write_json(measured_file(folder, result), {**about, "runs": records})
    return True


def wanted_options(run: Run) -> Options:
    """Return the options that the run's command gives now, defaults included."""
    experiment, words = experiment_of(run.task)
    return resolved(configuration(parse_options(experiment, [*words, *run.options], run.task)))


def record_of(run: Run, wanted: Options, levels: Sequence[int]) -> Record:
    """Return everything that is measured of a finished run, and where and how it was made.

    Args:
        run: the run.
        wanted: the options that its command gives now.
        levels: levels at which it is scored; what is known of others belongs to other results.

    Returns:
        The record of a comparison with fewer points of its curve, and with `hardware`, `versions`,
        `seconds` of training, the `commits` at its start, its end and scoring, and `differs`, the
        first option in which the run differs from what its command gives now, or None.
    """
    record, config = read_record(run), read_json(run.folder.config)
    scored = read_json(run.folder.levels) if levels else {}
    commits = [config["commit"], record["results"]["commit"], scored.get("commit", "")]
    curve = record["curve"]
    provenance = {
        "commits": list(dict.fromkeys(filter(None, commits))),
        "hardware": config["hardware"],
        "versions": config["versions"],
        "seconds": record["results"]["train.seconds"],
        "differs": first_difference(record["options"], wanted),
        "levels": [row for row in record["levels"] if row["level"] in levels],
        "curve": [*curve[: -1 : 1 + len(curve) // POINTS], *curve[-1:]],
    }
    return nonfinite_to_none(record | provenance)  # as it will be read from the file
