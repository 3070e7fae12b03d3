"""Write the page that lists every option of every command when the site is built.

It is read from the parsers of the commands themselves, so that it cannot differ from `--help`.
"""

from __future__ import annotations

import re
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import tyro

from agents import AGENT_CONFIGS
from experiments.benchmark.act import bench_act
from experiments.benchmark.agents import bench_agents
from experiments.benchmark.env import bench_env
from experiments.benchmark.train import bench_train
from experiments.comparison.command import Comparison
from experiments.export import check, export
from experiments.levels import levels
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
    "bench env": bench_env,
    "bench train": bench_train,
    "bench act": bench_act,
    "bench agents": bench_agents,
    "export": export,
    "check": check,
}
INTRODUCTION = """# Options

Every option of every command, as `--help` prints it. An option of the training commands can be given
to each of them; where their defaults differ, all of them are listed.
"""
ESCAPED = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Option:
    """An option: its `group` in the help, its `flag`, its `value`, its `help` and its `default`."""

    group: str
    flag: str
    value: str
    help: str
    default: str


def options_of(target: Any, **arguments: Any) -> list[Option]:
    """Return the options of a class or function, as its parser has them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        parser = tyro.extras.get_parser(target, **arguments)
    return list(_options(parser))


def _options(parser: ArgumentParser) -> Iterable[Option]:
    for group in parser._action_groups:
        for action in group._group_actions:
            help, _, default = ESCAPED.sub("", action.help or "").rpartition("(")
            flag = " ".join(action.option_strings[:1]) or str(action.metavar)
            if flag in ("-h", "--help"):
                continue
            value = str(action.metavar or "") if action.option_strings else ""
            if len(action.option_strings) > 1:  # --video, --no-video
                flag, value = ", ".join(action.option_strings), ""
            default = default.rstrip(")").removeprefix("default: ")
            yield Option(str(group.title), flag, value, " ".join(help.split()), default)


def training_options(task: str, agent: str | None = None) -> list[Option]:
    """Return the options of `rl-expire train TASK --agent AGENT`."""
    experiment = TRAINING[task]
    default = experiment()
    default = replace(default, agent=agent_config(default.agent, agent))
    return options_of(tyro.conf.AvoidSubcommands[experiment], default=default)  # type: ignore


def table(options: Iterable[Option], defaults: Callable[[Option], str] | None = None) -> str:
    """Return a Markdown table of options."""
    rows = ["| option | | default |", "|---|---|---|"]
    for option in options:
        flag = f"`{option.flag} {option.value}`".replace(" `", "`")
        default = defaults(option) if defaults else code(option.default)
        rows.append("| " + " | ".join(map(cell, (flag, option.help, default))) + " |")
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
                listed.setdefault(option.group, {}).setdefault(option.flag, option)

    def defaults(option: Option) -> str:
        found = {
            task: o.default for task, options in by_task.items() for o in options
            if o.flag == option.flag
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
    name = group.removesuffix(" options")
    return "The run" if name == "options" else name.capitalize()


def options_page() -> str:
    """Return the Markdown of the whole page."""
    parts = [INTRODUCTION, *training_page()]
    for command, target in OTHERS.items():
        parts += [f"## `rl-expire {command}`\n", table(options_of(target))]
    return "\n".join(parts)
