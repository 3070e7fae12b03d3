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
    recent.add([Episode(0, float(n), 1 + n, {"success": n % 2}) for n in range(6)], None)
    restored.load_state_dict(recent.state_dict())
    assert restored.state_dict()["episodes"].tolist() == recent.state_dict()["episodes"].tolist()
    assert restored.summary(1) == recent.summary(1)
    assert restored.summary(1)["return"] == 3.5


def lasting(*steps: int) -> RecentEpisodes:
    """Return the statistics of episodes of so many steps."""
    recent = RecentEpisodes()
    recent.add([Episode(0, 0.0, n, {}) for n in steps], None)
    return recent


def test_a_long_episode_is_longer_than_all_but_a_twentieth() -> None:
    assert lasting(*range(1, 102)).long_episode == 96.0
    assert lasting(*[200] * 255, 391).long_episode == 200.0, "a single one says nothing"
    assert lasting(*[7] * 400, *[5] * 512).long_episode == 5.0, "those before have left the window"


def test_few_episodes_do_not_tell_what_a_long_one_is() -> None:
    assert lasting(*[9] * 31).long_episode is None
    recent = lasting(*[9] * 32)
    assert recent.long_episode == 9.0
    recent.clear()
    assert recent.long_episode is None
