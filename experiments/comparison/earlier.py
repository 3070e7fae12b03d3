"""Reuse the runs of an earlier comparison, made on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.options import Options, first_difference
from experiments.comparison.record import Record
from experiments.comparison.runs import Run, covers
from rl_expire.runs.earlier_versions import rename_results
from rl_expire.runs.json_file import read_json

LARGEST = 2**28
"""Largest `comparison.json` to read, in bytes; each run adds some ten thousand."""
REQUIRED = {
    *("variant", "seed", "command", "results", "levels", "level_name", "goal", "measure"),
    *("curve", "minutes_to_solve"),
}
"""Keys that every record must have."""


def read_earlier(path: Path) -> list[Record]:
    """Return the records in a `comparison.json`, with results under their present names.

    Raises:
        ValueError: the file cannot be read, or is not a comparison.
    """
    try:
        records = read_json(path, LARGEST)["runs"]
        if not all(record.keys() >= REQUIRED for record in records):
            raise KeyError(path)
        return [record | {"results": rename_results(record["results"])} for record in records]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"--earlier {path} is not a comparison: choose the comparison.json of one"
        ) from error


def remaining(
    runs: Sequence[Run],
    options: Sequence[Options],
    earlier: Sequence[Record],
    levels: Sequence[int],
) -> list[Run]:
    """Return the runs that no earlier comparison has, scored at all of `levels`.

    A run whose folder exists is always included: the folder decides what is left to do.

    Args:
        runs: runs of this comparison.
        options: of each, defaults included.
        earlier: records of an earlier comparison.
        levels: levels at which the runs are to be scored.

    Raises:
        ValueError: an earlier run was made with other options, or does not tell with which.
    """
    by_key = {(record["variant"], record["seed"]): record for record in earlier}
    missing = []
    for run, wanted in zip(runs, options, strict=True):
        record = by_key.get((run.variant, run.seed))
        if record is None or run.folder.path.exists():
            missing.append(run)
        elif "options" not in record:
            raise ValueError(
                f"--earlier has {run.name}, of a version that did not record all its options: "
                "leave out --earlier"
            )
        elif (difference := first_difference(record["options"], wanted)) is not None:
            raise ValueError(
                f"--earlier has {run.name}, made with {difference}: "
                "use the same options, or leave out --earlier"
            )
        elif not covers(record["levels"], levels):
            missing.append(run)
    return missing


def merge(earlier: Sequence[Record], new: Sequence[Record], order: Sequence[str]) -> list[Record]:
    """Return all records; a new one replaces the earlier one of the same run.

    Args:
        earlier: records of an earlier comparison.
        new: records of this one.
        order: variants in the order to return them; others follow.
    """
    by_key = {(record["variant"], record["seed"]): record for record in [*earlier, *new]}
    variants = list(dict.fromkeys([*order, *(variant for variant, _ in by_key)]))
    return [by_key[key] for key in sorted(by_key, key=lambda key: (variants.index(key[0]), key[1]))]
