"""`rl-expire reproduce` makes runs, and writes what they measured into the documentation."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from experiments.comparison import run_all
from experiments.comparison.options import first_difference, resolved
from experiments.reproduction import columns, command, pages
from experiments.reproduction.figures import draw_figures
from experiments.reproduction.films import film_file, make_film
from experiments.reproduction.measured import wanted_options
from experiments.reproduction.pages import END, MEASURED, written
from experiments.reproduction.result import Film, Result, Row
from experiments.reproduction.results import RESULTS
from experiments.reproduction.summary import Summary
from experiments.reproduction.tables import Table
from experiments.tasks import experiment_of
from experiments.training.command_line import parse_options
from experiments.training.config_file import configuration
from rl_expire.runs.json_file import write_json
from rl_expire.scoring.statistics import iqm_over_tasks
from tests.experiments.conftest import Call, Files, Outcome, read_json
from tests.experiments.conftest import call as call_in
from tests.experiments.test_compare import InProcess, processes_made_by

TINY = Result(
    name="tiny",
    title="A corridor of six columns",
    task="corridor",
    rows=(Row("expire-span", "Expire-Span", ("--agent.capacity", "9")), Row("memoryless", "none")),
    columns=(columns.SUCCESS, columns.HELD, *columns.COST),
    options=(
        *("--agent.width", "16", "--env.max-length", "6", "--train.num-envs", "8"),
        *("--train.rollout-length", "16", "--eval.episodes", "7"),
    ),
    total_steps=128,
    seeds=(1, 2),
)
LEVELS = replace(
    TINY,
    name="levels",
    folder="tiny",
    rows=TINY.rows[:1],
    levels=(6, 12),
    columns=(columns.level(6), columns.level_mean(12, "bytes_held", "bytes at 12", 0)),
)
POLE = replace(
    TINY,
    name="pole",
    task="CartPole-v1",
    rows=TINY.rows[1:],
    columns=(columns.RETURN,),
    seeds=(1,),
    options=(
        *("--wrappers", "envs.masked:MaskVelocity", "--agent.width", "16", "--train.num-envs", "8"),
        *("--train.rollout-length", "16", "--eval.episodes", "2", "--eval.num-envs", "2"),
    ),
)
ALL = Summary("all", (TINY, LEVELS), (Row("expire-span", "E"), Row("memoryless", "M")))
README = """# It
Before.

<!-- measured: tiny -->
<!-- end -->
It held <!-- measured: tiny / Expire-Span / held at the last decision -->3<!-- end --> memories.
"""
PAGE = "".join(f"<!-- measured: {name} -->\n<!-- end -->\n" for name in ("levels", "pole", "all"))
PICTURES = "<!-- measured: tiny / pictures -->\n<!-- end -->\n"


@pytest.fixture(autouse=True, scope="module")
def tiny_results() -> Iterator[None]:
    """Have no other results than tiny ones."""
    results = (TINY, LEVELS, POLE)
    tables = tuple(Table(r.name, r, r.columns) for r in results)
    with (
        patch.object(command, "RESULTS", results),
        patch.object(pages, "TABLES", (*tables, ALL)),
        patch.object(run_all, "POLL_SECONDS", 0.01),
    ):
        yield


def make_checkout(folder: Path) -> None:
    """Write README and documentation with marks."""
    (folder / "docs" / "results").mkdir(parents=True)
    (folder / "README.md").write_text(README)
    (folder / "docs" / "page.md").write_text(PAGE)
    (folder / "docs" / "results" / "pictures.md").write_text(PICTURES)


def reproduce(*words: str, cwd: Path) -> Outcome:
    """Run the command on the checkout in `cwd`."""
    return call_in("reproduce", *words, "--out", "runs", "--checkout", "it", cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs and a checkout; tests must not change it."""
    folder = tmp_path_factory.mktemp("reproduced")
    make_checkout(folder / "it")
    with processes_made_by(InProcess) as started:
        done = reproduce(cwd=folder)
    assert done.code == 0, done.err
    assert [words[0] for words in started] == [*["train"] * 4, *["levels"] * 2, "train"]
    return folder


@pytest.fixture
def own(finished: Path, tmp_path: Path) -> Path:
    """A copy of all that was made."""
    return Path(shutil.copytree(finished, tmp_path / "own"))


def cells(page: Path, name: str) -> list[list[str]]:
    """Return the rows of the table called `name`, without its head."""
    text = page.read_text().partition(f"<!-- measured: {name} -->\n")[2]
    lines = [line for line in text.partition(END)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]


def test_tables_are_written_from_what_was_measured(finished: Path) -> None:
    runs = read_json(finished / "it" / MEASURED / "tiny.json")["runs"]
    assert [(run["variant"], run["seed"]) for run in runs] == [
        *(("expire-span", 1), ("expire-span", 2), ("memoryless", 1), ("memoryless", 2))
    ]
    scores = [run["results"]["eval.success"] for run in runs[:2]]
    expire, none = cells(finished / "it" / "README.md", "tiny")
    low, high = sorted(scores)
    assert expire[:2] == ["Expire-Span", f"{sum(scores) / 2:.3f} [{low:.3f}, {high:.3f}]"]
    assert expire[-2] == none[-2] == "1, 2"
    held = sum(run["results"]["eval.kept_at_decision_per_layer"][0] for run in runs[:2]) / 2
    assert (
        f"It held <!-- measured: tiny / Expire-Span / held at the last decision -->{held:.1f}<"
        in (finished / "it" / "README.md").read_text()
    )
    (at_levels,) = cells(finished / "it" / "docs" / "page.md", "levels")
    levels = [
        run["levels"] for run in read_json(finished / "it" / MEASURED / "levels.json")["runs"]
    ]
    assert at_levels[2] == f"{(levels[0][1]['bytes_held'] + levels[1][1]['bytes_held']) / 2:,.0f}"
    (pole,) = cells(finished / "it" / "docs" / "page.md", "pole")
    assert float(pole[1].split()[0]) > 5


def test_agents_that_were_measured_on_all_tasks_are_summarised(finished: Path) -> None:
    files = [finished / "it" / MEASURED / f"{name}.json" for name in ("tiny", "levels")]
    tasks = [
        [
            run["results"]["eval.share"]
            for run in read_json(file)["runs"]
            if "capacity" in run["command"]
        ]
        for file in files
    ]
    assert [len(runs) for runs in tasks] == [2, 2]
    interval = iqm_over_tasks(tasks)
    expire, none = cells(finished / "it" / "docs" / "page.md", "all")
    assert expire[1] == f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    assert expire[3] == "2, 2"
    assert none[1] == "not measured yet: levels"


def test_figures_are_drawn_and_shown(finished: Path) -> None:
    measured = finished / "it" / MEASURED
    assert shown(measured.parent / "pictures.md") == ["measured/tiny/learning_curves.svg"]
    curves = measured / "tiny" / "learning_curves.svg"
    before = curves.read_bytes()
    assert b"Expire-Span" in before
    draw_figures(measured, TINY, read_json(measured / "tiny.json")["runs"])
    assert curves.read_bytes() == before
    assert (measured / "levels" / "score_against_length.svg").exists()


def shown(page: Path) -> list[str]:
    """Return the pictures that a page shows."""
    return re.findall(r"!\[.*?\]\((.*?)\)", page.read_text())


@pytest.mark.slow
def test_a_film_is_made_once_and_shown(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed = replace(TINY, film=Film(episode=8))
    monkeypatch.setattr(command, "RESULTS", (filmed,))
    monkeypatch.setattr(pages, "TABLES", (*pages.TABLES[1:], Table("tiny", filmed, TINY.columns)))
    assert reproduce("tiny", cwd=own).code == 0
    page = own / "it" / MEASURED.parent / "pictures.md"
    assert shown(page) == ["measured/tiny/learning_curves.svg", "measured/tiny/film.gif"]
    run = Path("runs") / "reproduce" / "tiny" / "expire-span" / "seed-1"
    assert f"`rl-expire watch {run} --seeds 8 --gif FILE`" in page.read_text()
    film = own / "it" / MEASURED / "tiny" / "film.gif"
    assert film.read_bytes().startswith(b"GIF")
    made = film.stat().st_mtime_ns
    assert reproduce("tiny", cwd=own).code == 0
    assert film.stat().st_mtime_ns == made


def test_a_film_that_fails_is_a_warning(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = replace(TINY, film=Film(episode=1, level=-1)).runs(finished / "runs")
    make_film(tmp_path, replace(TINY, film=Film(episode=1, level=-1)), runs)
    assert "warning: no film of expire-span, seed 1: " in capsys.readouterr().out
    assert not film_file(tmp_path, TINY).exists()


def test_a_number_changed_by_hand_is_noticed(finished: Path) -> None:
    measured, text = finished / "it" / MEASURED, (finished / "it" / "README.md").read_text()
    assert written(text, measured) == text
    number = cells(finished / "it" / "README.md", "tiny")[0][1].split()[0]
    changed = text.replace(number, "0.123", 1)
    assert written(changed, measured) == text


def test_each_run_tells_options_commit_versions_hardware_and_seconds(finished: Path) -> None:
    files = [finished / "it" / MEASURED / f"{name}.json" for name in ("tiny", "pole")]
    runs = [run for file in files for run in read_json(file)["runs"]]
    for run in runs:
        assert run["options"]["train"]["total_steps"] == 128
        assert run["differs"] is None
        assert len(run["commits"]) == 1
        assert run["versions"].keys() == {"torch", "gymnasium"}
        assert run["seconds"] > 0
        assert run["levels"] == []  # those of the other result
        assert "cores" in run["hardware"]
        assert run["command"].startswith("python experiments/")
    assert runs[-1]["options"][""]["wrappers"] == ["envs.masked:MaskVelocity"]


def test_what_is_done_is_listed_and_not_made_again(own: Path) -> None:
    shutil.rmtree(own / "runs" / "tiny" / "memoryless" / "seed-2")
    (own / "runs" / "tiny" / "memoryless" / "seed-1" / "results.json").unlink()
    listed = reproduce("tiny", "--list", cwd=own).out.splitlines()
    assert listed[0] == "tiny: A corridor of six columns (2 of 4 runs done)"
    assert [line.split()[0] for line in listed[1:]] == ["done,", "done,", "begun,", "to"]
    assert "python experiments/corridor.py --agent memoryless --seed 2" in listed[-1]
    with processes_made_by(InProcess) as started:
        done = reproduce("tiny", cwd=own)
    assert done.code == 0, done.err
    assert sorted("--resume" in words for words in started) == [False, True]


def test_seeds_and_agents_can_be_chosen(tmp_path: Path) -> None:
    listed = reproduce("tiny", "--list", "--seeds", "7", "--agents", "memoryless", cwd=tmp_path).out
    assert listed.count("python experiments") == 1
    assert "--agent memoryless --seed 7" in listed


def test_what_is_not_measured_is_not_invented(finished: Path, tmp_path: Path) -> None:
    make_checkout(tmp_path / "it")
    done = reproduce("--write", cwd=tmp_path)
    assert done.code == 0, done.err
    for row in cells(tmp_path / "it" / "README.md", "tiny"):
        assert row[1] == "not measured yet"
        assert not any(row[2:])
    assert not (tmp_path / "it" / MEASURED).exists()
    assert "-->not measured yet<!-- end --> memories" in (tmp_path / "it" / "README.md").read_text()
    shutil.copytree(finished / "it" / MEASURED, tmp_path / "it" / MEASURED)
    assert reproduce("--write", cwd=tmp_path).code == 0  # from the figures alone, without a run
    readme = Path("it") / "README.md"
    assert (tmp_path / readme).read_text() == (finished / readme).read_text()


def test_rows_say_in_what_their_runs_differ(own: Path) -> None:
    path = own / "it" / MEASURED / "tiny.json"
    content = read_json(path)
    _, other, _, older = content["runs"]
    other["options"]["ppo"]["clip"] = 0.1
    other["commits"] = ["aaaaaaa"]
    older["command"] += " --ppo.clip 0.1"
    path.write_text(json.dumps(content))
    (own / "runs").rename(own / "elsewhere")
    assert reproduce("--write", cwd=own).code == 0
    expire, none = cells(own / "it" / "README.md", "tiny")
    commit = content["runs"][0]["commits"][0]
    clip = "**seed 2: --ppo.clip 0.1, not 0.2**"
    assert expire[-1] == f"`{commit}`, `aaaaaaa`; **commits differ**; {clip}"
    assert none[-1] == f"`{commit}`; **seed 2: made by another command**"


def test_a_run_whose_defaults_have_changed_since_is_marked(own: Path) -> None:
    config = own / "runs" / "tiny" / "memoryless" / "seed-1" / "config.json"
    config.write_text(config.read_text().replace('"clip": 0.2', '"clip": 0.1'))
    assert reproduce("tiny", "--write", cwd=own).code == 0
    _, none = cells(own / "it" / "README.md", "tiny")
    assert none[-1].endswith("; **seed 1: --ppo.clip 0.1, not 0.2**")


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.name)
def test_options_as_written_by_a_run_are_those_of_its_command(
    result: Result, tmp_path: Path
) -> None:
    for run in result.runs(tmp_path, seeds=(1,)):
        experiment, words = experiment_of(run.task)
        options = parse_options(experiment, [*words, *run.options], "")
        write_json(tmp_path / "config.json", configuration(options))
        made_with = resolved(read_json(tmp_path / "config.json"))
        assert first_difference(made_with, wanted_options(run)) is None


def test_ctrl_c_keeps_what_is_finished(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does to the runs themselves is in `test_compare.py`."""
    make_checkout(own / "new")
    monkeypatch.setattr(command, "run_all", lambda *_: ([], False))
    (own / "runs" / "tiny" / "memoryless" / "seed-2" / "results.json").unlink()
    done = call_in("reproduce", "--out", "runs", "--checkout", "new", cwd=own)
    assert done.code == 130
    assert "Repeat the command to continue" in done.out
    (path,) = (own / "new" / MEASURED).glob("*.json")
    assert len(read_json(path)["runs"]) == 3
    expire, none = cells(own / "new" / "README.md", "tiny")
    assert (expire[-2], none[-2]) == ("1, 2", "1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tinny", "'tinny' is no result: did you mean tiny?"),
        ("zzz", "'zzz' is no result: choose from tiny, levels, pole"),
        ("tiny --agents memory", "'memory' is no agent of these results: did you mean memoryless?"),
        ("--jobs -1", "--jobs is -1: choose 0 or more"),
        ("--seeds 1 -1", "--seeds is -1: choose 0 or more"),
        ("--checkout nowhere", "--checkout nowhere has no docs/: choose the folder of a checkout"),
    ],
)
def test_bad_input_is_one_line(words: str, message: str, call: Call, files: Files) -> None:
    assert message in call("reproduce", *words.split()).line
    assert not files()


def test_a_missing_package_is_named_with_a_remedy(call: Call) -> None:
    with patch("importlib.util.find_spec", lambda name: None):
        line = call("reproduce").line
    assert "is not installed: pip install 'rl-expire[compare]'" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- measured: tinny -->\n<!-- end -->", "'tinny' is no table: did you mean tiny?"),
        ("<!-- measured: tiny -->", "needs an <!-- end --> of its own"),
        ("<!-- measured: tiny --><!-- measured: pole --><!-- end -->", "needs an <!-- end -->"),
        (
            "<!-- measured: tiny / none --><!-- end -->",
            "write NAME, NAME / pictures, or NAME",
        ),
        (
            "<!-- measured: tiny / x / success --><!-- end -->",
            "tiny has no 'x': choose from Expire",
        ),
        ("<!-- measured: tiny / none / x --><!-- end -->", "tiny has no 'x': choose from success"),
    ],
)
def test_marks_that_cannot_be_filled_change_nothing(
    text: str, message: str, tmp_path: Path
) -> None:
    make_checkout(tmp_path / "it")
    page = tmp_path / "it" / "docs" / "zoo.md"
    page.write_text(text)
    line = reproduce("--write", cwd=tmp_path).line
    assert "zoo.md: " in line
    assert message in line
    assert (tmp_path / "it" / "README.md").read_text() == README
