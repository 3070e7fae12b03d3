"""Statistics of recent episodes."""

import math

from rl_expire.learning.episode import Episode
from rl_expire.learning.recent_episodes import RecentEpisodes


def test_the_summary_covers_the_window_and_the_hardest_tenth_of_the_level() -> None:
    recent = RecentEpisodes(window=4)
    empty = recent.summary(10)
    assert empty.pop("episodes") == 0
    assert all(math.isnan(value) for value in empty.values())
    results = [(20, 0.0), (5, 1.0), (9, 0.0), (10, 1.0), (3, 1.0)]
    recent.add(
        [Episode(0, 2 * s, 1, {"length": float(d), "success": s}) for d, s in results], "length"
    )
    summary = recent.summary(10)
    assert summary == {"success": 0.75, "success_longest": 0.5, "return": 1.5, "episodes": 4}
    recent.clear()
    assert recent.summary(10)["episodes"] == 0


def test_a_restored_window_has_the_same_episodes() -> None:
    recent, restored = RecentEpisodes(window=4), RecentEpisodes(window=4)
    recent.add([Episode(0, float(n), 1, {"success": n % 2}) for n in range(6)], None)
    restored.load_state_dict(recent.state_dict())
    assert restored.summary(1) == recent.summary(1)
    assert restored.summary(1)["return"] == 3.5
