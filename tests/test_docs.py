"""README and documentation: examples run, commands parse, and the files they name exist."""

import json
import re
import runpy
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import gymnasium as gym
import pytest

from agents import ExpireSpanConfig, make_agent
from experiments import cli
from experiments.reproduction.measured import measured_file
from experiments.reproduction.pages import BEGIN, END, MARKED, MEASURED, pages_of, written
from experiments.reproduction.results import CORRIDOR, RESULTS, TABLES
from rl_expire.export.files import write_onnx
from rl_expire.export.step import PolicyStep
from rl_expire.runs.checkpoint import save_weights
from rl_expire.runs.json_file import write_json
from rl_expire.runs.policy import WEIGHTS
from rl_expire.runs.run_folder import CONFIG
from rl_expire.vector.stored_spaces import spaces_entry
from tests.pages import DOCS, ROOT, blocks, saved_as

FOLDERS = ("*.md", "environments/*.md", "results/*.md", "results/*/README.md")
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted(page for pattern in FOLDERS for page in DOCS.glob(pattern)),
]
HISTORY = DOCS / "LOG.md"
"""Tells of commands and files as they were at the time."""
SHORTER = {
    "range(100)": "range(2)",
    "while not trainer.finished:": "for _ in range(2):",
    "range(0, rows.shape[1] - STEPS, STEPS)": "range(0, 2 * STEPS, STEPS)",
    "num_envs=512": "num_envs=4",
}
"""Loops and batches of the examples that are cut short here."""
TASK_SCRIPTS = ("corridor", "portal", "instruction", "collision", "tmaze")
TRAINING = (*TASK_SCRIPTS, "train")
OTHER_PROGRAMS = (
    "git",
    "cd",
    "pip",
    "pytest",
    "pre-commit",
    "playwright",
    "sphinx-build",
    "ruff",
    "pyright",
)
SHELLS = ("bash", "console", "sh")
WRITTEN = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)
"""Code, and the targets of links."""


def names(page: Path) -> str:
    """The page relative to the repository, as a test's id."""
    return str(page.relative_to(ROOT))


def is_commands(block: str) -> bool:
    """Whether a block without a language holds commands."""
    return block.split()[:1] in ([word] for word in ("python", "rl-expire", *OTHER_PROGRAMS))


def commands(page: Path) -> list[list[str]]:
    """The words of every command in the page's blocks."""
    texts = blocks(page, *SHELLS) + [b for b in blocks(page, "") if is_commands(b)]
    lines = "\n".join(texts).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.split(r"&&|\|\|", line)]
    return [words for part in parts if (words := shlex.split(part, comments=True))]


def words_of_rl_expire(command: list[str]) -> list[str] | None:
    """The words after `rl-expire` that do the same; None for another program.

    A run to resume is left out: its folder would have to be there.
    """
    if "--resume" in command:
        at = command.index("--resume")
        command = command[:at] + command[at + 2 :]
    if command[0] == "torchrun":  # starts the same program several times
        command = ["python", *command[command.index("-m") :]]
    if command[:2] == ["python", "-m"]:
        _, _, module, *rest = command
        script = f"{module.replace('.', '/')}.py"
        command = ["rl-expire", *rest] if module == "experiments" else ["python", script, *rest]
    if command[0] == "rl-expire":
        return command[1:]
    if command[0] == "python" and command[1].startswith("experiments/"):
        script = Path(command[1]).stem
        task = [script] if script in TASK_SCRIPTS else []
        return [*(["train"] if script in TRAINING else [script]), *task, *command[2:]]
    return None


def with_examples(pages: list[Path]) -> list[Path]:
    """Those pages that have Python examples."""
    return [page for page in pages if blocks(page, "python")]


def export_untrained(folder: Path, *, graph: bool) -> None:
    """Write the policy of an untrained agent for the Corridor, and one step of it as a graph."""
    env, config = gym.make("envs:RLExpire/Corridor-v0"), ExpireSpanConfig(capacity=8)
    agent = make_agent(env.observation_space, env.action_space, config)
    folder.mkdir()
    save_weights(agent.state_dict(), folder / WEIGHTS)
    entry = {"agent": {"name": config.name, "options": asdict(config)}}
    write_json(folder / CONFIG, entry | spaces_entry(env.observation_space, env.action_space))
    if graph:
        write_onnx(PolicyStep(agent, env.observation_space), folder / "policy.onnx")


@pytest.mark.parametrize("page", with_examples(PAGES), ids=names)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples, file = blocks(page, "python"), saved_as(page)
    if any('"policy' in block for block in examples):
        export_untrained(tmp_path / "policy", graph=page.stem == "export")
    if file is not None:  # the other examples import it
        Path(file).write_text(examples[0])
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, Path(file).stem, raising=False)
    namespace: dict[str, object] = {"__name__": "example"}
    for block in examples:
        for long, short in SHORTER.items():
            block = block.replace(long, short)
        if file is not None:
            namespace = {"__name__": "example"}
        exec(compile(block, names(page), "exec"), namespace)


def test_a_graph_runs_without_torch() -> None:
    (example,) = blocks(DOCS / "export.md", "python")
    imports = re.findall(r"^import (\w+)", example, re.MULTILINE)
    assert imports == ["gymnasium", "numpy", "onnxruntime"]
    assert "from " not in example
    assert len(example.splitlines()) <= 30


@pytest.mark.parametrize("long", SHORTER)
def test_every_shortened_line_is_in_an_example(long: str) -> None:
    assert any(long in block for page in PAGES for block in blocks(page, "python"))


@pytest.mark.parametrize("page", [p for p in PAGES if p != HISTORY and commands(p)], ids=names)
def test_commands_parse(page: Path) -> None:
    for command in commands(page):
        words = words_of_rl_expire(command)
        if words is not None:
            cli.parses(words)
        elif command[0] == "python":
            assert (ROOT / command[1]).exists(), f"{command}"
        else:
            assert command[0] in OTHER_PROGRAMS, f"{command} is no command of this project"


def test_a_command_that_does_not_parse_is_noticed() -> None:
    with pytest.raises((SystemExit, ValueError)):
        cli.parses(["train", "corridor", "--no-such-option", "1"])


def is_tree(block: str) -> bool:
    """Whether a block shows a tree of files: it begins with a folder and what is in it."""
    return re.match(r"[\w.]+/ {2,}\S", block) is not None


def files_in_tree(tree: str) -> list[str]:
    """The paths that a tree of files names: first words, and modules in the descriptions."""
    folders: list[tuple[int, str]] = []
    paths = []
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        name, _, about = line.strip().partition("  ")
        while folders and folders[-1][0] >= indent:
            folders.pop()
        at = "".join(folder for _, folder in folders)
        is_path = re.fullmatch(r"[\w./-]+(/|\.\w+)", name) is not None
        if is_path:
            paths.append(at + name)
        if is_path and name.endswith("/"):
            folders.append((indent, name))
            at += name
        paths += [at + word for word in re.findall(r"[\w/]+\.py\b", about if is_path else line)]
    return paths


def test_trees_name_files_that_exist() -> None:
    trees = [b for page in PAGES if page != HISTORY for b in blocks(page, "", "text")]
    paths = [path for tree in trees if is_tree(tree) for path in files_in_tree(tree)]
    assert len(paths) > 10
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def test_paths_in_the_text_exist() -> None:
    path = re.compile(r"`((?:rl_expire|agents|envs|experiments|tests|docs)/[\w./-]*)`")
    paths = {(names(page), name) for page in PAGES for name in path.findall(page.read_text())}
    assert len(paths) > 10
    missing = [(page, name) for page, name in sorted(paths) if not (ROOT / name).exists()]
    assert [found for found in missing if found[0] != names(HISTORY)] == []


def test_the_figures_can_be_drawn(tmp_path: Path) -> None:
    make = runpy.run_path(str(DOCS / "figures" / "make.py"))
    make["draw"](json.loads((DOCS / "figures" / "run.json").read_text()), tmp_path)
    drawn = {figure.name for figure in tmp_path.iterdir()}
    assert drawn == {figure.name for figure in DOCS.glob("figures/*.svg")}


@pytest.mark.parametrize("page", [p for p in pages_of(ROOT) if BEGIN in p.read_text()], ids=names)
def test_measured_numbers_are_those_that_were_measured(page: Path) -> None:
    """After `rl-expire reproduce --write` they are."""
    text = page.read_text()
    assert text == written(text, ROOT / MEASURED)
    assert unwritten_numbers(text) == []


def unwritten_numbers(text: str) -> list[str]:
    """Decimals in the sections of a page that have marks, but outside of marks and code."""
    sections = [part for part in re.split(r"^#+ ", text, flags=re.MULTILINE) if BEGIN in part]
    plain = [WRITTEN.sub("", MARKED.sub("", section)) for section in sections]
    return [number for part in plain for number in re.findall(r"\d+\.\d+", part)]


def test_a_number_beside_marks_is_noticed() -> None:
    marked = "<!-- measured: corridor / LSTM / success -->0.9<!-- end -->"
    assert unwritten_numbers(f"# A\n0.1\n# B\n{marked}, `0.2`\n```\n0.3\n```\n0.4\n") == ["0.4"]


def test_every_result_has_its_table_on_the_page_of_results() -> None:
    page = (DOCS / "results" / "reproduced.md").read_text()
    marks = [match[2] for match in MARKED.finditer(page) if " / " not in match[2]]
    assert marks == ["summary", *(result.name for result in RESULTS)]
    assert [table.name for table in TABLES] == [*marks, "readme"]
    with_film = [result.name for result in RESULTS if result.film is not None]
    assert all(f"{BEGIN}{name} / pictures -->" in page for name in with_film)


def test_readme_shows_what_was_measured() -> None:
    """Its table is that of an earlier recipe only until there are figures of the present one."""
    measured = measured_file(ROOT / MEASURED, CORRIDOR).exists()
    marked = f"{BEGIN}readme -->" in (ROOT / "README.md").read_text()
    assert marked is measured, (
        f"replace README's table by {BEGIN}readme --> and {END}, then --write"
    )


def test_runs_in_one_folder_have_one_command() -> None:
    runs = [run for result in RESULTS for run in result.runs(Path("runs"))]
    commands = {run.folder.path: run.reproduce for run in runs}
    assert all(commands[run.folder.path] == run.reproduce for run in runs)
    assert len(set(commands.values())) == len(commands)
