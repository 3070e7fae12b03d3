"""Make the video of any run again.

python experiments/watch.py runs/corridor-seed1 --seeds 4 5
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cli
import torch
import tyro
from runs import load_run, make_env

from rl_expire.retention import trace_episode
from rl_expire.retention_page import write_page
from rl_expire.retention_video import write_gif, write_still, write_video
from rl_expire.whole_file import check_place


def watch(
    run: Annotated[Path, tyro.conf.Positional],
    seeds: tuple[int, ...] = (8, 2, 0),
    fps: int = 12,
    out: Path | None = None,
    sampled: bool = False,
    gif: Path | None = None,
    still: Path | None = None,
    page: bool = False,
) -> None:
    """Film what a trained agent remembers.

    Args:
        run: Run folder of the agent.
        seeds: One episode each.
        fps: Steps shown a second.
        out: The mp4 file; RUN/retention.mp4 if not given.
        sampled: Sample the actions instead of taking the most likely ones.
        gif: Also write a small GIF of the first episode to this file.
        still: Also write a picture of the first episode's last decision to this file.
        page: Also write a page to look through the memories with, beside the video: the same name
            with the ending .html.
    """
    cli.at_least(0, seeds=min(seeds, default=0))
    device = torch.device("cpu")
    folder, config, agent = load_run(run, device)
    path = out or folder.video
    check_place(path)
    page_path = page_beside(path) if page else None
    for place in (page_path, gif, still):
        if place is not None:
            check_place(place)
    env = make_env(config["env"]["id"], config["env"]["options"])
    traces = [
        trace_episode(agent, env, seed=seed, greedy=not sampled, device=device) for seed in seeds
    ]
    frames = write_video(traces, path, fps=fps)
    print(f"{path}: {frames} frames of {len(traces)} episodes")
    if gif is not None:
        write_gif(traces[0], gif)
    if still is not None:
        write_still(traces[0], len(traces[0].steps) - 1, still)
    if page_path is not None:
        notes = write_page(traces, page_path)
        print("\n".join([f"{page_path}: open it in a browser", *notes]))


def page_beside(video: Path) -> Path:
    """Return the file of the page that goes with a video.

    Raises:
        ValueError: the video has that name itself.
    """
    page = video.with_suffix(".html")
    if page == video:
        raise ValueError(f"--out is {video}: the page needs that name, give the video another")
    return page


if __name__ == "__main__":
    cli.run(watch)
