"""Statistics of the most recent episodes, for logging."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from rl_expire.learning.episode import Episode, success_rate
from rl_expire.types import InfoKey
from rl_expire.validate import check_keys, check_layout

WINDOW = 512
"""Number of episodes to keep by default."""
FEWEST, LONG = 32, 0.95
"""Number of episodes from which on it is known what a long one is, and which share is shorter."""


class RecentEpisodes:
    """Difficulty, success, return and length of the most recent episodes.

    Args:
        window: number of episodes to keep.
    """

    def __init__(self, window: int = WINDOW):
        """Start without episodes."""
        self._episodes: deque[tuple[float, float, float, float]] = deque(maxlen=window)

    def add(self, episodes: Iterable[Episode], difficulty: str | None) -> None:
        """Add finished episodes.

        Args:
            episodes: the episodes.
            difficulty: key of their info that holds the difficulty; None: all have difficulty 1.
        """
        for e in episodes:
            success = e.info.get(InfoKey.SUCCESS, math.nan)
            level = 1.0 if difficulty is None else e.info.get(difficulty, math.nan)
            self._episodes.append((level, success, e.total_reward, float(e.steps)))

    def clear(self) -> None:
        """Forget all episodes, as when those to come are of another level."""
        self._episodes.clear()

    @property
    def long_episode(self) -> float | None:
        """Length of a long episode, in steps, which is a quantile: single ones may be far longer.

        None as long as there are too few episodes.
        """
        if len(self._episodes) < FEWEST:
            return None
        return float(np.quantile([steps for *_, steps in self._episodes], LONG))

    def summary(self, level: int) -> dict[str, float]:
        """Return the scalars to log.

        Args:
            level: the curriculum's level, the difficulty of its hardest episodes.

        Returns:
            Mean `success`; `success_longest`, the mean over episodes of at least 90 % of the
            level's difficulty; mean `return`; and the number of `episodes`. NaN where there is no
            episode, and for success where it is unknown.
        """
        returns = [r for _, _, r, _ in self._episodes]
        longest = [s for d, s, _, _ in self._episodes if d >= 0.9 * level]
        return {
            "success": success_rate([s for _, s, _, _ in self._episodes]),
            "success_longest": success_rate(longest),
            "return": sum(returns) / len(returns) if returns else math.nan,
            "episodes": len(returns),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return difficulty, success, return and length of the K episodes, an array `[K, 4]`."""
        return {"episodes": np.array(self._episodes, np.float64).reshape(-1, 4)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not such a state.
        """
        check_keys(state, ("episodes",), "recent")
        episodes = state["episodes"]
        check_layout(episodes, np.zeros((len(episodes), 4)), "recent/episodes")
        self._episodes.clear()
        self._episodes.extend((d, s, r, n) for d, s, r, n in episodes.tolist())
