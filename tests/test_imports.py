"""Imports go one way: experiments → agents → rl_expire, experiments → envs."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = {path.stem for path in (ROOT / "experiments").glob("*.py")}
OURS = {"rl_expire", "agents", "envs", "experiments", "tests"} | SCRIPTS
ALLOWED = {
    "envs": {"envs", "gymnasium", "minigrid", "numpy"},
    "agents": {"agents", "rl_expire", "gymnasium", "minigrid", "numpy", "torch"},
}
ALSO = {Path(f"envs/{name}.py"): {"pygame"} for name in ("window", "text_frame")}


def imported(source: str) -> list[str]:
    """The top-level packages that a module imports, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." if node.level else (node.module or "").partition(".")[0])
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.append(str(node.args[0].value).partition(".")[0])
    return names


def forbidden(path: Path, source: str) -> list[str]:
    """The imports of the module at `path`, relative to the repository, that are not allowed."""
    package = path.parts[0]
    names = set(imported(source))
    if package in ALLOWED:
        allowed = ALLOWED[package] | ALSO.get(path, set()) | sys.stdlib_module_names
        return sorted(names - allowed)
    if package == "rl_expire":
        return sorted(names & (OURS - {"rl_expire"} | {"."}))
    return sorted(names & {"tests"})


MODULES = [
    path.relative_to(ROOT)
    for package in ("rl_expire", "envs", "agents", "experiments")
    for path in sorted((ROOT / package).rglob("*.py"))
]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_only_what_the_architecture_allows(path: Path) -> None:
    assert forbidden(path, (ROOT / path).read_text()) == []


def test_all_four_packages_were_checked() -> None:
    assert {path.parts[0] for path in MODULES} == {"rl_expire", "envs", "agents", "experiments"}


@pytest.mark.parametrize(
    ("path", "source", "caught"),
    [
        ("rl_expire/ppo.py", "import envs", ["envs"]),
        ("rl_expire/ppo.py", "from agents.blocks import Heads", ["agents"]),
        ("rl_expire/ppo.py", "def f():\n    from experiments import corridor", ["experiments"]),
        ("rl_expire/ppo.py", "import runs, torch", ["runs"]),
        ("rl_expire/ppo.py", "from .types import M", ["."]),
        ("rl_expire/ppo.py", "import importlib\nimportlib.import_module('envs.draws')", ["envs"]),
        ("rl_expire/ppo.py", "import torch\nimport wandb\nfrom rl_expire.types import M", []),
        ("envs/draws.py", "import torch\nimport math", ["torch"]),
        ("envs/draws.py", "from rl_expire import types", ["rl_expire"]),
        ("envs/draws.py", "import pygame", ["pygame"]),
        ("envs/window.py", "def f():\n    import pygame", []),
        ("agents/blocks.py", "import envs\nimport torch", ["envs"]),
        ("agents/blocks.py", "from rl_expire.types import M\nimport minigrid", []),
        ("experiments/watch.py", "import tests.support", ["tests"]),
        ("experiments/watch.py", "import envs, agents, rl_expire, cli", []),
    ],
)
def test_the_check_catches_a_violation_and_nothing_else(
    path: str, source: str, caught: list[str]
) -> None:
    assert forbidden(Path(path), source) == caught
