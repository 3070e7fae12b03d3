"""Write the page that lists every option of every command when the site is built.

It is read from the parsers of the commands themselves, so that it cannot differ from `--help`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from sphinx.application import Sphinx

from agents import AGENT_CONFIGS
from experiments.benchmark.act import bench_act
from experiments.benchmark.agents import bench_agents
from experiments.benchmark.env import bench_env
from experiments.benchmark.memory import bench_memory
from experiments.benchmark.peers import bench_peers
from experiments.benchmark.train import bench_train
from experiments.comparison.command import Comparison
from experiments.comparison.suite import Suite
from experiments.export import check, export
from experiments.levels import levels
from experiments.reproduction.command import reproduce
from experiments.tasks import TASKS
from experiments.train import Train
from experiments.training.command_line import agent_config
from experiments.watch import watch

TRAINING = {**TASKS, "ENV_ID": Train}
"""What `rl-expire train` takes as its first word."""
OTHERS: dict[str, Callable[..., Any]] = {
    "watch": watch,
    "levels": levels,
    "compare": Comparison,
    "suite": Suite,
    "reproduce": reproduce,
    "bench env": bench_env,
    "bench train": bench_train,
    "bench act": bench_act,
    "bench agents": bench_agents,
    "bench memory": bench_memory,
    "bench peers": bench_peers,
    "export": export,
    "check": check,
}
INTRODUCTION = """# Options

Every option of every command, as `--help` prints it. Where the training commands have different
defaults, all of them are listed.
"""
HEADINGS = {"options": "The run", "ppo options": "PPO", "eval options": "Evaluation"}
FLAG = re.compile(r"(?<![\w`])--[a-z][\w.-]*\w")
ESCAPED = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Option:
    """An option: its group in the help, flag and value as one writes them, help and default."""

    group: str
    usage: str
    help: str
    default: str


def options_of(target: Any, **arguments: Any) -> list[Option]:
    """Return the options of a class or function, as its parser has them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        parser = tyro.extras.get_parser(target, **arguments)
    return list(_options(parser))


def _options(parser: Any) -> Iterator[Option]:
    """Yield the options of an argparse parser, without `--help`."""
    for group in parser._action_groups:
        for action in group._group_actions:
            help, _, default = ESCAPED.sub("", action.help or "").rpartition("(")
            flags, value = action.option_strings, ""
            if "--help" in flags:
                continue
            if not flags:
                flags = [action.dest.upper()]
            elif len(flags) == 1:  # not --video, --no-video
                value = f" {_value(str(action.metavar))}"
            default = default.rstrip(")").removeprefix("default: ")
            help = FLAG.sub(r"`\g<0>`", " ".join(help.split()))
            yield Option(str(group.title), ", ".join(flags) + value, help, default)


def _value(metavar: str) -> str:
    """Return what a value looks like, without marks for None and repetition in brackets."""
    metavar = metavar.replace("{None}|", "").strip("{}")
    repeated = re.fullmatch(r"\[(\S+) \[.*", metavar)
    return f"{repeated[1]} ..." if repeated else metavar


def training_options(task: str, agent: str | None = None) -> list[Option]:
    """Return the options of `rl-expire train TASK --agent AGENT`."""
    experiment = TRAINING[task]
    default = experiment()
    default = replace(default, agent=agent_config(default.agent, agent))
    return options_of(tyro.conf.AvoidSubcommands[experiment], default=default)  # type: ignore


def table(options: Iterable[Option], defaults: Callable[[Option], str] | None = None) -> str:
    """Return a Markdown table of options."""
    rows = ["| option | meaning | default |", "|---|---|---|"]
    for option in options:
        default = defaults(option) if defaults else code(option.default)
        rows.append(
            "| " + " | ".join(map(cell, (f"`{option.usage}`", option.help, default))) + " |"
        )
    return "\n".join(rows) + "\n"


def code(default: str) -> str:
    """Return a default as code; nothing where there is none."""
    return "" if default in ("", "None", "required") else f"`{default}`"


def cell(text: str) -> str:
    """Return `text` so that it stays inside its cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def training_page() -> list[str]:
    """Return the sections about the training commands."""
    by_task = {task: training_options(task) for task in TRAINING}
    own = ("env options", "agent options")
    parts = ["## `rl-expire train`\n"]
    listed: dict[str, dict[str, Option]] = {}
    for options in by_task.values():
        for option in options:
            if option.group not in own:
                listed.setdefault(option.group, {}).setdefault(option.usage, option)

    def defaults(option: Option) -> str:
        found = {
            task: o.default
            for task, options in by_task.items()
            for o in options
            if o.usage == option.usage
        }
        if len(set(found.values())) == 1:
            return code(option.default)
        return ", ".join(f"{task} {code(value) or '`None`'}" for task, value in found.items())

    for group, options in listed.items():
        parts += [f"### {heading(group)}\n", table(options.values(), defaults)]
    for task, options in by_task.items():
        parts.append(f"### `rl-expire train {task}`: the environment\n")
        parts.append(table(o for o in options if o.group == own[0]))
    for agent in AGENT_CONFIGS:
        parts.append(f"### `--agent {agent}`\n")
        found = training_options("corridor", agent)
        parts.append(table(o for o in found if o.group == own[1]))
    return parts


def heading(group: str) -> str:
    """Return the heading of a group of options."""
    return HEADINGS.get(group) or group.removesuffix(" options").capitalize()


def options_page() -> str:
    """Return the Markdown of the whole page."""
    parts = [INTRODUCTION, *training_page()]
    for command, target in OTHERS.items():
        parts += [f"## `rl-expire {command}`\n", table(options_of(target))]
    return "\n".join(parts)


def write_page(app: Sphinx) -> None:
    """Write the page to `reference/options.md`, which `options.md` includes."""
    path = Path(app.srcdir) / "reference" / "options.md"
    path.parent.mkdir(exist_ok=True)
    text = options_page()
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_page)
    return {"parallel_read_safe": True}
