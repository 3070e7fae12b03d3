"""Film what trained agents remember: video, GIF, still, page and figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from experiments.command_line.errors import installed
from experiments.comparison.metrics import read_metrics
from experiments.open_run import load_run, own_place
from experiments.scoring.whole_task import at_level
from experiments.watching.pair import check_same_env, pairs
from rl_expire.retention.figures import figure_names, write_figures
from rl_expire.retention.page.write import write_page
from rl_expire.retention.record import trace_episode
from rl_expire.retention.trace import Trace
from rl_expire.retention.video import Scene, left_out, write_gif, write_still, write_video
from rl_expire.runs.atomic import check_folder_writable, check_writable
from rl_expire.runs.run_folder import RunFolder
from rl_expire.types import Agent
from rl_expire.vector.make import EnvConfig, can_render, make_env

CPU = torch.device("cpu")


def film(
    run: Path,
    *,
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
    trust: Collection[str] = (),
) -> None:
    """Play one episode per seed and write what was asked for; see `watch` for the arguments.

    Raises:
        ValueError: a run cannot be opened or shown, or a file not be written; nothing is written.
    """
    paths = (run,) if compare is None else (run, compare)
    runs = [load_run(path, CPU, trust) for path in paths]
    configs = [config for _, config, _ in runs]
    check_same_env(paths, configs)
    folder = runs[0][0]
    path = out or own_place(folder, folder.video if compare is None else folder.pair)
    page_path = page_beside(path) if page else None
    check_name(gif)
    check_places((path, page_path, gif, still), stills)
    env = env_at_level(folder, configs[0]["env"], level)
    played = [_play(agent, env, seeds, configs[0]["env"], not sampled) for _, _, agent in runs]
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
        metrics = read_metrics(folder.metrics)
        print(f"{stills}: {', '.join(write_figures(played[0], stills, metrics))}")


def _play(
    agent: Agent[Any], env: gym.Env, seeds: Sequence[int], entry: dict[str, Any], greedy: bool
) -> list[Trace]:
    """Record one episode per seed."""
    solved_return = EnvConfig.from_json(entry).solved_return
    return [
        trace_episode(agent, env, seed=seed, greedy=greedy, device=CPU, solved_return=solved_return)
        for seed in seeds
    ]


def env_at_level(folder: RunFolder, entry: dict[str, Any], level: int | None) -> gym.Env:
    """Return an environment of a run that can be rendered.

    Args:
        folder: of the run.
        entry: the entry `env` of its configuration.
        level: difficulty of the episodes; None: as in training.

    Raises:
        ValueError: the environment cannot be made at that level, or not be rendered.
    """
    env_config = EnvConfig.from_json(entry)
    if not can_render(entry["id"], entry["options"]):
        problem = "its metadata['render_modes'] lacks 'rgb_array'"
        raise ValueError(f"{entry['id']} cannot be filmed: {problem}")
    if level is None:
        return make_env(entry["id"], entry["options"], env_config)
    if not entry.get("level"):
        raise ValueError(f"--level: {folder.config} does not name an option that sets difficulty")
    try:
        return make_env(entry["id"], at_level(entry["options"], entry["level"], level))
    except ValueError as error:
        raise ValueError(f"--level {level}: {error}") from error


def check_name(gif: Path | None) -> None:
    """Check that the file of a GIF is named as one; None is not asked for.

    Raises:
        ValueError: it is not.
    """
    if gif is not None and gif.suffix.lower() != ".gif":
        raise ValueError(f"--gif {gif} does not end in .gif: name it {gif.with_suffix('.gif')}")


def check_places(files: Sequence[Path | None], stills: Path | None) -> None:
    """Check that files can be written, before any work is done; None is not asked for.

    Raises:
        ValueError: one of `files`, or the figures in the folder `stills`, cannot be written.
    """
    for place in files:
        if place is not None:
            check_writable(place)
    if stills is not None:
        installed("matplotlib")
        check_folder_writable(stills, figure_names())


def page_beside(video: Path) -> Path:
    """Return the file of the page that goes with a video.

    Raises:
        ValueError: the video has that name itself.
    """
    page = video.with_suffix(".html")
    if page == video:
        raise ValueError(f"--out is {video}: the page needs that name, give the video another")
    return page
