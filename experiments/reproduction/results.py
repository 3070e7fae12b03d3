"""Every result of the documentation, what matters most first."""

from __future__ import annotations

from dataclasses import replace

from experiments.reproduction import columns
from experiments.reproduction.columns import COST, level, level_mean
from experiments.reproduction.result import Film, Result, Row
from experiments.reproduction.summary import Summary
from experiments.reproduction.tables import Table

EXPIRE_SPAN = Row("expire-span", "Expire-Span")
LSTM = Row("lstm", "LSTM")
MEMORYLESS = Row("memoryless", "memoryless")
WINDOW_128 = Row("transformer-xl:128", "Transformer-XL, window 128")
WINDOW_256 = Row("transformer-xl:256", "Transformer-XL, window 256")
ALL = (EXPIRE_SPAN, WINDOW_256, LSTM, MEMORYLESS)

SUCCESS = (columns.SUCCESS, columns.HARDEST, columns.SAMPLED)
SHARE = (columns.SHARE, columns.SHARE_SAMPLED)
MEMORY = (columns.HELD, columns.RECALL, columns.PRECISION)
FARTHEST = 100_000
"""Columns of the longest corridor that agents are tested in."""

CORRIDOR = Result(
    name="corridor",
    title="One ball, 3 to 200 columns",
    task="corridor",
    rows=ALL,
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=4_000_000,
    seeds=(1, 2, 3, 4, 5),
    film=Film(episode=8),
)
LENGTHS = replace(
    CORRIDOR,
    name="lengths",
    title="Trained to 200 columns, tested to 100,000",
    folder=CORRIDOR.name,
    rows=(EXPIRE_SPAN, WINDOW_256, LSTM),
    levels=(200, 1000, 10_000, FARTHEST),
    columns=(
        *(level(length) for length in (200, 1000, 10_000, FARTHEST)),
        level_mean(FARTHEST, "kept_at_decision_per_layer", "held at 100,000", 1),
        level_mean(FARTHEST, "bytes_held", "bytes at 100,000", 0),
    ),
    film=Film(episode=8, level=10_000),
)
INSTRUCTION = Result(
    name="instruction",
    title="Instructions, 20 to 100 sentences before their use",
    task="instruction",
    rows=ALL,
    columns=(*SHARE, columns.SOLVED, *MEMORY, *COST),
    total_steps=8_000_000,
    film=Film(episode=3),
)
PORTAL = Result(
    name="portal",
    title="Portal mazes of 10 rooms",
    task="portal",
    rows=ALL,
    columns=(*SHARE, columns.SOLVED, *MEMORY, *COST),
    total_steps=8_000_000,
    film=Film(episode=3),
)
WALKING = Result(
    name="walking",
    title="Walking down the corridor, 3 to 200 columns",
    task="corridor",
    options=("--env.no-walkway",),
    rows=ALL,
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=6_000_000,
)
DISTRACTORS = Result(
    name="distractors",
    title="Meaningless balls beside every other column, 3 to 100 columns",
    task="corridor",
    options=("--env.distractors", "0.5", "--env.max-length", "100"),
    rows=(EXPIRE_SPAN, WINDOW_128, LSTM, MEMORYLESS),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=4_000_000,
)
FOUR_CUES = Result(
    name="four-cues",
    title="Four balls and four junctions, 5 to 100 columns",
    task="corridor",
    options=("--env.num-cues", "4", "--env.min-length", "5", "--env.max-length", "100"),
    rows=tuple(
        replace(row, options=("--train.num-envs", "128", "--train.rollout-length", "32"))
        if row is not LSTM
        else row  # It has rollouts of its own, as long as the corridor.
        for row in (EXPIRE_SPAN, WINDOW_128, LSTM, MEMORYLESS)
    ),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=8_000_000,
)
LONG = Result(
    name="long",
    title="Trained to 10,000 columns",
    task="corridor",
    options=("--env.max-length", "10000", "--eval.episodes", "200"),
    rows=(EXPIRE_SPAN,),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=16_000_000,
)
CARTPOLE = Result(
    name="cartpole",
    title="CartPole without its velocities",
    task="CartPole-v1",
    options=("--wrappers", "envs.masked:MaskVelocity"),
    rows=(EXPIRE_SPAN, LSTM, MEMORYLESS),
    columns=(columns.RETURN, columns.RETURN_SAMPLED, columns.SOLVED, columns.HELD, *COST),
    total_steps=2_500_000,
)
MINIGRID = Result(
    name="minigrid",
    title="MiniGrid's Memory, S13",
    task="MiniGrid-MemoryS13Random-v0",
    rows=(EXPIRE_SPAN, LSTM),
    columns=(columns.SUCCESS, columns.SAMPLED, columns.SOLVED, columns.HELD, *COST),
    total_steps=3_000_000,
    film=Film(episode=8),
)
TMAZE = Result(
    name="tmaze",
    title="Passive T-Maze, to 1,000 steps",
    task="tmaze",
    options=("--env.max-length", "1000", "--learning.entropy-start", "0.02"),
    rows=(EXPIRE_SPAN,),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
)
TMAZE_ACTIVE = replace(
    TMAZE,
    name="tmaze-active",
    title="Active T-Maze, to 100 steps",
    options=("--env.active", "--env.max-length", "100"),
)
COLLISION = Result(
    name="collision",
    title="Collision: which colour met which last",
    task="collision",
    rows=(EXPIRE_SPAN,),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=2_000_000,
    seeds=(1,),
)
JOINT = Result(
    name="joint",
    title="The paper's own way of training: lifetimes learned with everything else",
    task="corridor",
    options=("--forgetting.method", "joint", "--agent.fade", "linear"),
    rows=(EXPIRE_SPAN,),
    columns=(*SUCCESS, columns.SOLVED, *MEMORY, *COST),
    total_steps=4_000_000,
)

RESULTS = (
    *(CORRIDOR, LENGTHS, INSTRUCTION, PORTAL, WALKING, DISTRACTORS, FOUR_CUES, LONG),
    *(CARTPOLE, MINIGRID, TMAZE, TMAZE_ACTIVE, COLLISION, JOINT),
)
SUMMARY = Summary(
    name="summary",
    results=(CORRIDOR, INSTRUCTION, PORTAL, WALKING, DISTRACTORS, FOUR_CUES),
    rows=(
        EXPIRE_SPAN,
        Row("transformer-xl", "Transformer-XL, a window of the whole task"),
        LSTM,
        MEMORYLESS,
    ),
)
TABLES = (
    SUMMARY,
    *(Table(result.name, result, result.columns) for result in RESULTS),
    Table("readme", CORRIDOR, (columns.SUCCESS, columns.HARDEST, columns.SOLVED, columns.HELD)),
)
"""The table over tasks, that of each result, and that of README."""
