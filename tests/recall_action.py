"""A memory task for each kind of action: what was shown at first has to be given at the end.

rl-expire train tests.recall_action:RecallAction-v0 --env.option kind=Box
"""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces

SYMBOLS = 4
"""Number of categories of each part of a discrete action."""


class RecallAction(gym.Env):
    """Two numbers are shown at the first step, and have to be given at the last one.

    The reward of the last step is 1 for a perfect answer: of discrete numbers half for each that is
    right; of continuous ones, 1 less their mean distance. An answer without memory gets 0.25 (0.5
    where half of the categories are masked), and 0.5 at best in `Box`.

    Args:
        kind: `MultiDiscrete`, two of four symbols; `masked`: the same, where at each step only two
            symbols of each part are allowed, the right one among them; `Box`: two numbers from -1
            to 1; `Dict`: one of each.
        length: steps of an episode.
        render_mode: `rgb_array` or None.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(
        self,
        kind: Literal["MultiDiscrete", "masked", "Box", "Dict"] = "MultiDiscrete",
        length: int = 20,
        render_mode: str | None = None,
    ):
        """Choose the spaces."""
        box, symbol = spaces.Box(-1.0, 1.0, (1,)), spaces.Discrete(SYMBOLS)
        self.action_space: gym.Space = {
            "MultiDiscrete": spaces.MultiDiscrete([SYMBOLS, SYMBOLS]),
            "masked": spaces.MultiDiscrete([SYMBOLS, SYMBOLS]),
            "Box": spaces.Box(-1.0, 1.0, (2,)),
            "Dict": spaces.Dict({"number": box, "symbol": symbol}),
        }[kind]
        self.observation_space = spaces.Box(-1.0, 1.0, (4,))
        self.kind, self.length, self.render_mode = kind, length, render_mode
        self.continuous = {"Box": (True, True), "Dict": (True, False)}.get(kind, (False, False))
        self.steps = 0
        self.asked = np.zeros(2, np.float32)

    def _obs(self) -> np.ndarray:
        """Return whether the answer is due, whether it is shown, and if so the answer."""
        first, last = self.steps == 0, self.steps == self.length - 1
        shown = self.asked if first else np.zeros(2, np.float32)
        return np.array([last, first, *shown], np.float32)

    def _info(self) -> dict[str, Any]:
        """Return the mask, if there is one."""
        if self.kind != "masked":
            return {}
        mask = np.zeros((2, SYMBOLS), bool)
        for part, right in zip(mask, self._symbols(), strict=True):
            part[right] = True
            part[(right + self.np_random.integers(1, SYMBOLS)) % SYMBOLS] = True
        return {"action_mask": mask.flatten()}

    def _symbols(self) -> np.ndarray:
        """Return the symbols that the numbers asked for stand for."""
        return np.rint((self.asked + 1) / 2 * (SYMBOLS - 1)).astype(int)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw the answer."""
        super().reset(seed=seed)
        self.steps = 0
        symbols = self.np_random.integers(0, SYMBOLS, 2) / (SYMBOLS - 1) * 2 - 1
        numbers = self.np_random.uniform(-1, 1, 2)
        self.asked = np.where(self.continuous, numbers, symbols).astype(np.float32)
        return self._obs(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Score the answer at the last step."""
        last = self.steps == self.length - 1
        reward = self._score(action) if last else 0.0
        self.steps += 1
        info = self._info() | ({"success": reward} if last else {})
        return self._obs(), reward, last, False, info

    def _score(self, action: Any) -> float:
        """Return the reward of an answer."""
        parts = [action["number"][0], action["symbol"]] if isinstance(action, dict) else action
        scores = [
            1 - abs(float(given) - float(asked)) if continuous else float(given == symbol)
            for given, asked, symbol, continuous in zip(
                parts, self.asked, self._symbols(), self.continuous, strict=True
            )
        ]
        return sum(scores) / len(scores)

    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a picture of the answer while it is shown."""
        picture = np.full((64, 128, 3), 40, np.uint8)
        if self.steps == 0:
            for n, x in enumerate(self.asked):
                picture[:, 64 * n : 64 * n + 64] = 40 + int(100 * (x + 1))
        return picture


gym.register("RecallAction-v0", "tests.recall_action:RecallAction")
