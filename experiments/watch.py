"""Film what a trained agent remembers, or two agents side by side.

python experiments/watch.py runs/corridor-seed1 --seeds 4 5
python experiments/watch.py docs/models/corridor
python experiments/watch.py runs/corridor-seed1 --compare runs/corridor-lstm-seed1
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from experiments.command_line.errors import at_least
from experiments.command_line.parse import call_of
from experiments.command_line.script import script
from experiments.watching.film import film
from rl_expire.runs.provenance import peak_bytes


def watch(
    run: Annotated[Path, tyro.conf.Positional],
    seeds: tuple[int, ...] = (8, 2, 0),
    fps: int = 12,
    out: Path | None = None,
    sampled: bool = False,
    gif: Path | None = None,
    still: Path | None = None,
    page: bool = False,
    stills: Path | None = None,
    compare: Path | None = None,
    level: int | None = None,
    trust: tuple[str, ...] = (),
) -> None:
    """Film what a trained agent remembers.

    Args:
        run: Run folder of the agent, or a folder that `rl-expire export` wrote.
        seeds: One episode each.
        fps: Steps shown per second.
        out: The mp4 file; by default RUN/retention.mp4, or RUN/compare.mp4 with --compare. The
            video of an exported policy is NAME-retention.mp4 in the current folder.
        sampled: Sample the actions instead of taking the most likely ones.
        gif: Also write a small GIF of the first episode to this file.
        still: Also write a picture of the first episode's last decision to this file.
        page: Also write an HTML page to look through the memories with, beside the video and with
            its name.
        stills: Also write figures for a paper into this folder, as PNG and SVG: memories held
            during the first episode, lifetimes and memories kept over all episodes, and level,
            score and memories held over training.
        compare: Run folder of a second agent, shown below the first on the same episodes.
        level: Difficulty of the episodes, such as the length of the corridor; by default as in
            training.
        trust: Modules that the environment of RUN may import, besides those of rl_expire, Gymnasium
            and MiniGrid.
    """
    if not seeds:
        raise ValueError("--seeds is empty: give one or more")
    at_least(0, seeds=min(seeds))
    at_least(1, fps=fps)
    if compare is not None and (page or stills is not None):
        alone = "--page" if page else "--stills"
        raise ValueError(f"{alone} shows one agent: leave it or --compare out")
    film(
        run,
        seeds=seeds,
        fps=fps,
        out=out,
        sampled=sampled,
        gif=gif,
        still=still,
        page=page,
        stills=stills,
        compare=compare,
        level=level,
        trust=trust,
    )
    if peak := peak_bytes():
        print(f"peak memory {peak / 1e6:,.0f} MB")


if __name__ == "__main__":
    script(call_of(watch))
