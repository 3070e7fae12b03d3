"""Make the video of any run again, or of two runs side by side.

python experiments/watch.py runs/corridor-seed1 --seeds 4 5
python experiments/watch.py runs/corridor-seed1 --compare runs/corridor-lstm-seed1
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import torch
import tyro

from experiments import cli
from experiments.open_run import load_run
from experiments.score import at_level
from experiments.watch_pair import check_same_env, pairs
from rl_expire.retention.page.write import write_page
from rl_expire.retention.stills import still_names, write_stills
from rl_expire.retention.trace import trace_episode
from rl_expire.retention.video import Scene, left_out, write_gif, write_still, write_video
from rl_expire.runs.atomic import check_folder, check_place
from rl_expire.runs.run_folder import RunFolder
from rl_expire.vector.make import EnvConfig, make_env


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
) -> None:
    """Film what a trained agent remembers.

    Args:
        run: Run folder of the agent.
        seeds: One episode each.
        fps: Steps shown a second.
        out: The mp4 file; RUN/retention.mp4 if not given, RUN/compare.mp4 with --compare.
        sampled: Sample the actions instead of taking the most likely ones.
        gif: Also write a small GIF of the first episode to this file.
        still: Also write a picture of the first episode's last decision to this file.
        page: Also write a page to look through the memories with, beside the video: the same name
            with the ending .html.
        stills: Also write figures for a paper into this folder, as PNG and SVG: what is held of the
            first episode, and of all the lifetimes given and the memories kept.
        compare: Run folder of a second agent, which is shown below the first, on the same episodes.
        level: How hard the episodes are, such as the length of the corridor, if not as in training.
    """
    cli.at_least(0, seeds=min(seeds, default=0))
    if compare is not None and (page or stills is not None):
        alone = "--page" if page else "--stills"
        raise ValueError(f"{alone} shows one agent: leave it or --compare out")
    device = torch.device("cpu")
    paths = (run,) if compare is None else (run, compare)
    runs = [load_run(path, device) for path in paths]
    configs = [config for _, config, _ in runs]
    check_same_env(paths, configs)
    folder = runs[0][0]
    path = out or (folder.video if compare is None else folder.pair)
    page_path = page_beside(path) if page else None
    check_places((path, page_path, gif, still), stills)
    env = env_of(folder, configs[0]["env"], level)
    solved_return = EnvConfig.of(configs[0]["env"]).solved_return
    played = [
        [
            trace_episode(
                agent,
                env,
                seed=seed,
                greedy=not sampled,
                device=device,
                solved_return=solved_return,
            )
            for seed in seeds
        ]
        for _, _, agent in runs
    ]
    scenes: Sequence[Scene] = played[0] if compare is None else pairs(paths, configs, played)
    frames = write_video(scenes, path, fps=fps)
    notes = [note for scene in scenes for note in left_out(scene)]
    print("\n".join([f"{path}: {frames} frames of {len(scenes)} episodes", *notes]))
    if gif is not None:
        write_gif(scenes[0], gif)
    if still is not None:
        write_still(scenes[0], min(len(traces[0].steps) for traces in played) - 1, still)
    if page_path is not None:
        notes = write_page(played[0], page_path)
        print("\n".join([f"{page_path}: open it in a browser", *notes]))
    if stills is not None:
        print(f"{stills}: {', '.join(write_stills(played[0], stills))}")


def env_of(folder: RunFolder, entry: dict[str, Any], level: int | None) -> gym.Env:
    """Make the environment of a run.

    Args:
        folder: of the run.
        entry: what its configuration says of the environment.
        level: how hard the episodes are; as in training if None.

    Raises:
        ValueError: it cannot be that hard, or not be shown.
    """
    env_config = EnvConfig.of(entry)
    if level is None:
        return make_env(entry["id"], entry["options"], env_config.wrappers)
    if not entry.get("level"):
        raise ValueError(f"--level: {folder.config} does not say what makes its episodes hard")
    try:
        return make_env(entry["id"], at_level(entry["options"], entry["level"], level))
    except ValueError as error:
        raise ValueError(f"--level {level}: {error}") from error


def check_places(files: Sequence[Path | None], stills: Path | None) -> None:
    """Refuse what cannot be written, before any work is put into it; None is not asked for.

    Raises:
        ValueError: one of `files`, or the figures in the folder `stills`, cannot be written.
    """
    for place in files:
        if place is not None:
            check_place(place)
    if stills is not None:
        cli.installed("matplotlib")
        check_folder(stills, still_names())


def page_beside(video: Path) -> Path:
    """Return the file of the page that goes with a video.

    Raises:
        ValueError: the video has that name itself.
    """
    page = video.with_suffix(".html")
    if page == video:
        raise ValueError(f"--out is {video}: the page needs that name, give the video another")
    return page


def print_peak_memory() -> None:
    """Print how much memory this program took at most, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak * (1 if sys.platform == 'darwin' else 1024) / 1e6:,.0f} MB")


if __name__ == "__main__":
    cli.run(watch)
    print_peak_memory()
