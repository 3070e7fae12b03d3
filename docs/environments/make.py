"""Draw the pictures of the environments' pages, and update their tables of options.

python docs/environments/make.py
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
from PIL import Image

from envs.collision import CollisionOptions
from envs.corridor import CorridorOptions
from envs.instruction import InstructionOptions
from envs.portal import PortalOptions
from envs.tmaze import TMazeOptions

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
OPTIONS: dict[str, type[Any]] = {
    "corridor": CorridorOptions,
    "portal": PortalOptions,
    "instruction": InstructionOptions,
    "collision": CollisionOptions,
    "tmaze": TMazeOptions,
}
IDS = {name: f"RLExpire/{name.capitalize()}-v0" for name in OPTIONS} | {
    "tmaze": "RLExpire/TMaze-v0"
}
"""Registered ids, by the name of the page."""
PICTURES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "corridor": ({"min_length": 6, "max_length": 6}, [0] * 3),
    "portal": ({}, [2, 0]),
    "instruction": ({}, [0] * 11),
    "collision": ({"size": 8}, [0] * 4),
    "tmaze": ({"min_length": 8, "max_length": 8}, [0] * 3),
}
"""Options and actions that lead to the frame shown, by the name of the page."""


def option_table(options_type: type[Any]) -> str:
    """Return a Markdown table of a dataclass's fields: name, default and docstring."""
    source = textwrap.dedent(inspect.getsource(options_type))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for field, text in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            texts[ast.unparse(field.target)] = " ".join(ast.literal_eval(text.value).split())
    rows = [f"| `{f.name}` | `{f.default}` | {texts[f.name]} |" for f in fields(options_type)]
    return "\n".join(["| option | default | |", "|---|---|---|", *rows])


def with_table(page: str, options_type: type[Any]) -> str:
    """Return the text of a page with the current table of options between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{option_table(options_type)}\n\n{END}{after}"


def draw(name: str) -> None:
    """Write the picture of an environment as `name.png`."""
    options, actions = PICTURES[name]
    env = gym.make(f"envs:{IDS[name]}", render_mode="rgb_array", **options)
    env.reset(seed=1)
    for action in actions:
        env.step(action)
    frame: Any = env.render()
    image = Image.fromarray(frame).quantize(64)
    image.save(FOLDER / f"{name}.png", optimize=True)


def main() -> None:
    """Draw all pictures and update all tables."""
    for name, options_type in OPTIONS.items():
        draw(name)
        page = FOLDER / f"{name}.md"
        page.write_text(with_table(page.read_text(), options_type))


if __name__ == "__main__":
    main()
