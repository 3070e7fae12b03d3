"""Time training beside other libraries, on the same environment and in turns."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import partial

from rich.console import Console

from agents import AGENT_CONFIGS
from experiments.benchmark.own_peer import OwnPeer
from experiments.benchmark.peer import Peer, PeerTask, Slice, train_for
from experiments.benchmark.peers_table import print_attempts, print_speeds
from experiments.benchmark.solving import solve_in_turns
from experiments.command_line.errors import at_least, installed
from experiments.corridor import SHORTEST
from experiments.training.device import use_threads

SB3 = "sb3"
"""Name of the peer from sb3-contrib; `sb3:3` makes 3 passes over a rollout instead of its 10."""
MOST_PASSES = 100
SOLVE_SLICE = 15.0
"""Seconds of training between two measurements of success."""


def bench_peers(
    peers: tuple[str, ...] = ("expire-span", "lstm", "sb3", "sb3:3"),
    length: int = 200,
    num_envs: int = 64,
    seconds: float = 10.0,
    repeats: int = 3,
    to_solve: float = 0.0,
    seed: int = 1,
    threads: int = 1,
) -> None:
    """Time training on the Corridor, beside that of sb3-contrib's RecurrentPPO.

    All peers train on the full task in one process, in turns: whatever else the machine does hits
    all of them alike. Needs `pip install 'rl-expire[peers]'`, unless --peers names only agents of
    this project.

    Args:
        peers: Agents of this project, `sb3`, or `sb3:N` with N passes over each rollout instead of
            its own 10; one row each. This project's agents make 3 passes at most.
        length: Longest corridor.
        num_envs: Corridors that each peer trains in.
        seconds: Length of a turn, at least; it ends with an update. One update of each peer is made
            before, untimed.
        repeats: Turns of each peer.
        to_solve: Minutes of training in which each peer may also solve the task, from new weights;
            0: none. Agents of this project then have their curriculum, sb3 has none.
        seed: Seed of weights and corridors.
        threads: CPU threads of all peers; 0: one per core.
    """
    check_names(peers)
    at_least(SHORTEST, length=length)
    at_least(1, num_envs=num_envs, repeats=repeats)
    at_least(0, seed=seed)
    for name, value in (("seconds", seconds), ("to_solve", to_solve)):
        if not value >= 0:
            raise ValueError(f"{name} is {value}: choose 0 or more")
    use_threads(threads)
    task = PeerTask(length, num_envs, seed)
    learners = {name: make_peer(name, task, full_task=True) for name in peers}
    console = Console()
    with console.status("Training in turns ..."):
        slices = time_in_turns(learners, seconds, repeats)
    print_speeds(console, task, {name: peer.recipe() for name, peer in learners.items()}, slices)
    if to_solve:
        del learners
        gc.collect()  # rollouts of other peers would only fill the memory
        learners = {name: make_peer(name, task, full_task=False) for name in peers}
        say = partial(console.print, soft_wrap=True, highlight=False)
        attempts = solve_in_turns(learners, 60 * to_solve, SOLVE_SLICE, say)
        print_attempts(console, task, to_solve, learners, attempts)


def check_names(names: tuple[str, ...]) -> None:
    """Check that there are such peers, each named once, and that what they need is installed.

    Raises:
        ValueError: a name is unknown or there twice, there is none, or a package is missing.
    """
    if not names:
        raise ValueError("--peers is empty: give one or more")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--peers names {name} twice: give it once")
        if name not in AGENT_CONFIGS and passes_of(name) is None:
            known = ", ".join((*AGENT_CONFIGS, SB3, f"{SB3}:PASSES"))
            raise ValueError(f"--peers {name} is unknown: choose from {known}")
    if any(name not in AGENT_CONFIGS for name in names):
        own = " ".join(name for name in names if name in AGENT_CONFIGS) or "expire-span lstm"
        installed("sb3_contrib", extra="peers", without=f"--peers {own}")


def passes_of(name: str) -> int | None:
    """Return the passes of the peer `sb3` (0: its own number) or `sb3:N`; None for other names."""
    first, colon, passes = name.partition(":")
    if first != SB3:
        return None
    if not colon:
        return 0
    return int(passes) if passes.isdecimal() and 1 <= int(passes) <= MOST_PASSES else None


def make_peer(name: str, task: PeerTask, *, full_task: bool) -> Peer:
    """Return a new peer, by a name that `check_names` accepts.

    Args:
        name: an agent of this project, `sb3` or `sb3:N`.
        task: what to train on.
        full_task: whether agents of this project do without their curriculum too.

    Raises:
        ValueError: the task is impossible.
    """
    if name in AGENT_CONFIGS:
        return OwnPeer(name, task, full_task=full_task)
    from experiments.benchmark.sb3_peer import OWN_PASSES, SB3Peer  # only where it is installed

    return SB3Peer(task, passes_of(name) or OWN_PASSES)


def time_in_turns(
    peers: Mapping[str, Peer], seconds: float, repeats: int
) -> dict[str, list[Slice]]:
    """Return `repeats` slices of training of each peer, made in turns.

    Args:
        peers: the peers by name; each makes one update that is not timed.
        seconds: shortest slice.
        repeats: slices of each peer.
    """
    for peer in peers.values():
        peer.update()
    slices: dict[str, list[Slice]] = {name: [] for name in peers}
    for _ in range(repeats):
        for name, peer in peers.items():
            slices[name].append(train_for(peer, seconds))
    return slices
