"""Draw the figures of the documentation with the library's own functions.

python docs/figures/make.py                  draw them from run.json
python docs/figures/make.py --run runs/RUN   first take run.json from a run of the Corridor
python docs/figures/make.py --lengths runs/RUN1 runs/RUN2   first take lengths.json from several

The first run: python experiments/corridor.py --env.max-length 50
The others, each scored by `rl-expire levels`: python experiments/corridor.py --agent NAME
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym
import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agents.pretrained import load_agent
from experiments.comparison.metrics import read_metrics
from rl_expire.memory.expire_span import Fade, early_fade_bias, fade_bias
from rl_expire.retention.record import trace_episode
from rl_expire.retention.trace import kept_counts
from rl_expire.retention.training_figure import curve
from rl_expire.runs.policy import export_policy

FOLDER = Path(__file__).parent
DATA = FOLDER / "run.json"
BEFORE = FOLDER / "before.json"
"""The same run at the last commit that learned first and forgot afterwards."""
LENGTHS = FOLDER / "lengths.json"
"""Success of several agents at lengths they were never trained on."""
RELEVANT, OTHER, GREY = "#d1671b", "#3a6ea5", "#888888"
CURVES = ("steps", "alpha", "success", "kept/0", "span_relevant", "span_other")
LIFETIME, RAMP, EARLY = 20.0, 8.0, 0.3
SEED = 1


def read_run(path: Path) -> dict[str, Any]:
    """Return the curves of a run of the Corridor, and one episode its agent plays greedily."""
    config = json.loads((path / "config.json").read_text())
    lines = read_metrics(path / "metrics.jsonl")
    kept = [{name: line.get(name) for name in CURVES} for line in lines]
    length = config["env"]["options"]["max_length"]
    options = config["env"]["options"] | {"min_length": length}
    env = gym.make(f"envs:{config['env']['id']}", render_mode="rgb_array", **options)
    with TemporaryDirectory() as folder:
        export_policy(path, Path(folder) / "policy")
        agent = load_agent(Path(folder) / "policy", env.observation_space, env.action_space)
    trace = trace_episode(agent, env, seed=SEED)
    last = {}
    for t, step in enumerate(trace.steps):
        last |= dict.fromkeys(step.layers[0].written.tolist(), t)
    return {
        "commit": config["commit"],
        "env": config["env"]["options"],
        "seed": config["seed"],
        "curve": kept,
        "held": kept_counts(trace).reshape(len(trace.steps), -1)[:, 0].tolist(),
        "memories": [[t, last[t], bool(trace.steps[t].relevant)] for t in sorted(last)],
    }


def draw_mask(axes: Axes) -> None:
    """Draw the weight factor of one memory against its age."""
    age = torch.linspace(0, 36, 721)
    left = LIFETIME - age
    colours: dict[Fade, str] = {"linear": OTHER, "log-linear": RELEVANT}
    for fade, colour in colours.items():
        axes.plot(age, fade_bias(left, RAMP, fade).exp(), color=colour, label=fade)
        early = early_fade_bias(left, age, RAMP, fade, EARLY).exp()
        axes.plot(age, early, color=colour, ls=":", label=f"{fade}, as learning sees it")
    for x, text in ((LIFETIME, "end of life"), (LIFETIME + RAMP, "slot freed")):
        axes.axvline(x, color=GREY, lw=0.8, zorder=0)
        axes.text(x + 0.4, 1.03, text, color=GREY, fontsize=8)
    axes.set(xlabel="age of the memory, steps", ylabel="mask", ylim=(-0.03, 1.1), xlim=(0, 36))
    axes.legend(loc="lower left", frameon=False)


def draw_episode(figure: Figure, data: dict[str, Any]) -> None:
    """Draw how long each memory of an episode is held, and how many are held at once."""
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for written, last, relevant in data["memories"]:
        top.barh(written, last - written + 1, left=written, color=RELEVANT if relevant else OTHER)
    for colour, label in ((RELEVANT, "shows the cue"), (OTHER, "anything else")):
        top.barh(0, 0, color=colour, label=label)
    top.set(ylabel="step it was written at")
    top.invert_yaxis()
    top.legend(loc="lower left", frameon=False)
    steps = range(len(data["held"]))
    below.plot(steps, [t + 1 for t in steps], color=GREY, label="a window of 256")
    below.step(steps, data["held"], where="mid", color=RELEVANT, label="Expire-Span")
    below.set(xlabel="step of the episode", ylabel="memories held", ylim=(0, None))
    below.legend(loc="upper left", frameon=False)


def draw_lifetimes(figure: Figure, data: dict[str, Any]) -> None:
    """Draw success, lifetimes and memories held over training."""
    top, middle, below = figure.subplots(3, 1, sharex=True)
    lines = data["curve"]
    steps = [line["steps"] / 1e6 for line in lines]
    values = partial(curve, lines)
    top.plot(steps, values("success"), color=GREY)
    top.set(ylabel="success", ylim=(0, 1.05))
    middle.plot(steps, values("span_relevant"), color=RELEVANT, label="shows the cue")
    middle.plot(steps, values("span_other"), color=OTHER, label="anything else")
    middle.set(ylabel="lifetime, steps", yscale="log")
    middle.yaxis.set_major_formatter(lambda x, _: f"{x:g}")
    middle.legend(loc="lower left", frameon=False)
    below.plot(steps, values("kept/0"), color=RELEVANT)
    before = json.loads(BEFORE.read_text())["curve"]
    below.plot(
        [line["steps"] / 1e6 for line in before],
        [line["kept/0"] for line in before],
        color=GREY,
        label="when all is learned first",
    )
    below.legend(loc="center right", frameon=False)
    below.set(ylabel="memories\nheld", ylim=(0, None), xlabel="environment steps, millions")
    begin = next(s for s, line in zip(steps, lines, strict=True) if line["alpha"])
    for axes in (top, middle, below):
        axes.axvline(begin, color=GREY, lw=0.8, ls="--")
    top.text(begin, 0.1, " forgetting begins", color=GREY, fontsize=8)


def read_lengths(runs: list[Path]) -> dict[str, Any]:
    """Return the success of each run's agent by length, as `rl-expire levels` has measured it."""
    agents = {}
    for path in runs:
        config = json.loads((path / "config.json").read_text())
        agent = config["agent"]
        window = agent["options"].get("window")
        name = agent["name"] if window is None else f"{agent['name']}, window {window}"
        rows = json.loads((path / "levels.json").read_text())["levels"]
        agents[name] = {
            "commit": config["commit"],
            "seed": config["seed"],
            "trained_to": config["env"]["options"]["max_length"],
            "success": [[row["level"], row["success"]] for row in rows],
        }
    return agents


def draw_lengths(axes: Axes) -> None:
    """Draw the success of several agents against the length of the corridor."""
    agents = json.loads(LENGTHS.read_text())
    for n, (name, agent) in enumerate(agents.items()):
        lengths, success = zip(*agent["success"], strict=True)
        # Wide lines below narrow ones: where agents do equally well, all of them can be seen.
        style = {"color": (RELEVANT, GREY, OTHER)[n % 3], "lw": 1.5 + 2.5 * n, "ms": 4 + 3 * n}
        axes.plot(lengths, success, marker="o", zorder=-n, label=name, **style)
    trained = max(agent["trained_to"] for agent in agents.values())
    axes.axvline(trained, color=GREY, lw=0.8, ls="--")
    axes.text(trained, 0.05, " longest in training", color=GREY, fontsize=8)
    axes.set(xscale="log", xlabel="length of the corridor", ylabel="success", ylim=(0, 1.05))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.legend(loc="center right", frameon=False)


def draw(data: dict[str, Any], folder: Path = FOLDER) -> None:
    """Draw all figures into `folder`."""
    mpl.rcParams.update({"svg.hashsalt": "rl_expire", "svg.fonttype": "none", "font.size": 9})
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    figures = {
        "mask": (2.8, lambda figure: draw_mask(figure.subplots())),
        "episode": (4.6, partial(draw_episode, data=data)),
        "lifetimes": (4.8, partial(draw_lifetimes, data=data)),
        "lengths": (3.2, lambda figure: draw_lengths(figure.subplots())),
    }
    for name, (height, draw_one) in figures.items():
        figure = plt.figure(figsize=(6.4, height), layout="constrained")
        draw_one(figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    """Take the data from a run if there is one, then draw."""
    parser = argparse.ArgumentParser(description="Draw the figures of the documentation.")
    parser.add_argument("--run", type=Path, help="run folder of the Corridor to take run.json from")
    parser.add_argument(
        "--lengths", type=Path, nargs="+", help="run folders to take lengths.json from"
    )
    options = parser.parse_args()
    if options.run is not None:
        DATA.write_text(json.dumps(read_run(options.run)) + "\n")
    if options.lengths is not None:
        LENGTHS.write_text(json.dumps(read_lengths(options.lengths)) + "\n")
    draw(json.loads(DATA.read_text()))


if __name__ == "__main__":
    main()
