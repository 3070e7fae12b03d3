"""Imports go one way: experiments → agents → rl_expire, experiments → envs; likewise its rooms."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"rl_expire", "agents", "envs", "experiments", "tests"}
ALLOWED = {
    "envs": {"envs", "gymnasium", "minigrid", "numpy"},
    "agents": {"agents", "rl_expire", "gymnasium", "minigrid", "numpy", "torch"},
}
ALSO = {Path(f"envs/{name}.py"): {"pygame"} for name in ("window", "instruction/text_frame")}
EVERY_ROOM = {"types", "validate", "info", "actions"}
ROOMS: dict[str, set[str]] = {
    "actions": set(),
    "types": {"actions"},
    "validate": set(),
    "info": set(),
    "memory": set(),
    "vector": set(),
    "learning": {"memory", "vector"},
    "scoring": {"memory", "vector", "learning"},
    "runs": {"memory", "vector", "learning"},
    "export": {"memory", "vector", "learning"},
    "retention": {"memory", "vector", "learning", "runs"},
}
"""What each part of rl_expire may import besides itself and the three that all may."""


def imported(source: str) -> list[str]:
    """The modules that a module imports, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." if node.level else node.module or ""
            names += [f"{module}.{a.name}" for a in node.names] if module in OURS else [module]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.append(str(node.args[0].value))
    return names


def room_of(module: str) -> str | None:
    """The part of rl_expire that a module is in; None for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "rl_expire" and len(parts) > 1 else None


def forbidden(path: Path, source: str) -> list[str]:
    """The imports of the module at `path`, relative to the repository, that are not allowed."""
    package, modules = path.parts[0], imported(source)
    names = {"." if m.startswith(".") else m.partition(".")[0] for m in modules}
    if package in ALLOWED:
        allowed = ALLOWED[package] | ALSO.get(path, set()) | sys.stdlib_module_names
        return sorted(names - allowed)
    if package == "rl_expire":
        room = path.with_suffix("").parts[1]
        allowed = (
            ROOMS.get(room, set())
            | {room}
            | (EVERY_ROOM if room not in ("types", "actions") else set())
        )
        rooms = {room_of(m) for m in modules} - {None}
        wrong = {f"rl_expire.{r}" for r in rooms if r not in allowed}
        return sorted(names & (OURS - {"rl_expire"} | {"."}) | wrong)
    return sorted(names & {"tests"})


MODULES = [
    path.relative_to(ROOT)
    for package in ("rl_expire", "envs", "agents", "experiments")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def test_imports_only_what_the_architecture_allows() -> None:
    wrong = {str(p): forbidden(p, (ROOT / p).read_text()) for p in MODULES}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_every_package_and_room_was_checked() -> None:
    assert {path.parts[0] for path in MODULES} == {"rl_expire", "envs", "agents", "experiments"}
    rooms = {path.with_suffix("").parts[1] for path in MODULES if path.parts[0] == "rl_expire"}
    assert rooms - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize(
    ("path", "source", "caught"),
    [
        ("rl_expire/learning/ppo.py", "import envs", ["envs"]),
        ("rl_expire/learning/ppo.py", "from agents.blocks import Heads", ["agents"]),
        ("rl_expire/learning/ppo.py", "def f():\n    from experiments import cli", ["experiments"]),
        ("rl_expire/learning/ppo.py", "from .types import M", ["."]),
        (
            "rl_expire/learning/ppo.py",
            "import importlib\nimportlib.import_module('envs')",
            ["envs"],
        ),
        ("rl_expire/learning/ppo.py", "import torch\nfrom rl_expire.types import M", []),
        ("rl_expire/learning/ppo.py", "from rl_expire.memory import attention", []),
        ("rl_expire/learning/ppo.py", "import rl_expire.runs.saver", ["rl_expire.runs"]),
        ("rl_expire/learning/ppo.py", "from rl_expire import scoring", ["rl_expire.scoring"]),
        ("rl_expire/memory/attention.py", "import rl_expire.vector.make", ["rl_expire.vector"]),
        ("rl_expire/retention/trace.py", "from rl_expire.runs.atomic import atomic_write", []),
        (
            "rl_expire/types.py",
            "from rl_expire.validate import check_number",
            ["rl_expire.validate"],
        ),
        ("envs/draws.py", "import torch\nimport math", ["torch"]),
        ("envs/draws.py", "from rl_expire import types", ["rl_expire"]),
        ("envs/draws.py", "import pygame", ["pygame"]),
        ("envs/window.py", "def f():\n    import pygame", []),
        ("agents/blocks.py", "import envs\nimport torch", ["envs"]),
        ("agents/blocks.py", "from rl_expire.types import M\nimport minigrid", []),
        ("experiments/watch.py", "import tests.support", ["tests"]),
        ("experiments/watch.py", "import envs, agents, rl_expire", []),
    ],
)
def test_the_check_catches_a_violation_and_nothing_else(
    path: str, source: str, caught: list[str]
) -> None:
    assert forbidden(Path(path), source) == caught
