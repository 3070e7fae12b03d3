"""The agent's view equals MiniGrid's on the same world, built cell by cell."""

from typing import Any, cast

import numpy as np
import pytest
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Door, Wall
from minigrid.minigrid_env import MiniGridEnv

from envs.corridor import CorridorEnv, CorridorVectorEnv

COLOURS = ("red", "blue")


class NaiveCorridor(MiniGridEnv):
    """A corridor filled in object by object from the rules of the task."""

    def __init__(self, core: CorridorVectorEnv) -> None:
        self.core = core
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: "remember"),
            width=core._state.length[0] + 2 * (core.options.num_cues - 1) + 1,
            height=3,
            max_steps=10,
            see_through_walls=True,
            agent_view_size=core.options.view_size,
        )
        self.reset()

    def _gen_grid(self, width: int, height: int) -> None:
        state, count = self.core._state, self.core.options.num_cues
        length, solved = int(state.length[0]), int(state.solved[0])
        cues, sides = int(state.cues[0]), int(state.sides[0])
        self.grid = Grid(width, height)
        for x in range(width):
            self.grid.set(x, 0, Wall())
            self.grid.set(x, 2, Wall())
        for k in range(count):
            self.grid.set(k, 0, Ball(COLOURS[cues >> k & 1]))
            if k >= solved:
                self.grid.set(length + 2 * k, 0, Ball(COLOURS[sides >> k & 1]))
                self.grid.set(length + 2 * k, 2, Ball(COLOURS[1 - (sides >> k & 1)]))
            if solved <= k < count - 1:
                self.grid.set(length + 2 * k + 1, 1, Door("grey"))
        for x, (y, colour) in naive_distractors(self.core).items():
            self.grid.set(x, y, Ball(COLOURS[colour]))
        self.agent_pos = (int(state.x[0]), 1)
        self.agent_dir = int(state.direction[0])
        self.mission = "remember"


def naive_distractors(core: CorridorVectorEnv) -> dict[int, tuple[int, int]]:
    """Return row and colour of the distractor in each column that has one."""
    distractors = {}
    for x in range(core.options.num_cues, int(core._state.length[0]) - 1):
        z = (int(core._state.key[0]) + (1000 + x) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        if (z >> 11) / 2**53 < core.options.distractors:
            distractors[x] = (2 if z & 2 else 0, z & 1)
    return distractors


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 9},
        {"max_length": 9, "distractors": 0.6},
        {"min_length": 4, "max_length": 10, "num_cues": 3},
        {"min_length": 4, "max_length": 12, "num_cues": 3, "distractors": 0.6, "view_size": 7},
        {"max_length": 9, "distractors": 1.0, "view_size": 3},
    ],
)
def test_view_and_relevance_equal_minigrids_everywhere(options: dict[str, Any]) -> None:
    env = CorridorEnv(**options)
    core = cast(CorridorVectorEnv, env.core)
    for seed in range(3):
        env.reset(seed=seed)
        state = core._state
        for solved in range(core.options.num_cues):
            state.solved[0] = solved
            for x in range(state.length[0] + 2 * solved + 1):
                for direction in range(4):
                    state.x[0], state.direction[0] = x, direction
                    naive = NaiveCorridor(core)
                    np.testing.assert_array_equal(core.observe()[0], naive.gen_obs()["image"])
                    shown = any(naive.in_view(k, 0) for k in range(solved, core.options.num_cues))
                    assert core.describe()["rl_expire.relevant"][0] == shown


def test_distractors_have_their_probability_and_are_not_beside_cues_or_junctions() -> None:
    core = CorridorVectorEnv(1, min_length=4000, max_length=4000, distractors=0.3)
    core.reset(seed=0)
    found = naive_distractors(core)
    assert len(found) / 4000 == pytest.approx(0.3, abs=0.03)
    assert min(found) >= 1
    assert max(found) <= 3998
    for which in (0, 1):
        values = [place[which] > 0 for place in found.values()]
        assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_all_frames_have_the_same_size() -> None:
    shapes = set()
    for length in (3, 200, 50_000):
        env = CorridorEnv(min_length=length, max_length=length, render_mode="rgb_array")
        env.reset(seed=0)
        for action in (0, 1, 2, 2):
            env.step(action)
            frame = env.render()
            assert frame is not None
            assert frame.dtype == np.uint8
            shapes.add(frame.shape)
    assert len(shapes) == 1


def test_a_frame_equals_minigrids_rendering_of_the_same_cells() -> None:
    env = CorridorEnv(
        min_length=20, max_length=20, distractors=0.5, walkway=False, render_mode="rgb_array"
    )
    env.reset(seed=1)
    for action in [2] * 9 + [0]:
        env.step(action)
    frame = env.render()
    assert frame is not None
    naive = NaiveCorridor(cast(CorridorVectorEnv, env.core)).get_frame(tile_size=32)
    # The window reaches 7 columns to each side of column 9, and one row of wall around.
    np.testing.assert_array_equal(frame[32:-32], naive[:, 2 * 32 : 17 * 32])


def test_a_batch_renders_one_frame_per_environment() -> None:
    env = CorridorVectorEnv(3, render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert frames is not None
    assert len(frames) == 3
