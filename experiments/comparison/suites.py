"""Suites: lists of environments on which agents are compared, by name."""

from __future__ import annotations

POPGYM = (
    *("Autoencode", "Battleship", "Concentration", "CountRecall", "HigherLower", "MineSweeper"),
    *("MultiarmedBandit", "NoisyPositionOnlyCartPole", "NoisyPositionOnlyPendulum"),
    *("PositionOnlyCartPole", "PositionOnlyPendulum", "RepeatFirst", "RepeatPrevious"),
    "VelocityOnlyCartpole",
)
"""The tasks that POPGym 1.0.7 registers (Morad et al. 2023), each at three difficulties."""
SUITES: dict[str, tuple[str, ...]] = {
    "popgym": tuple(
        f"popgym:popgym-{task}{difficulty}-v0"
        for task in POPGYM
        for difficulty in ("Easy", "Medium", "Hard")
    )
}
"""Ids of the environments of each suite; the module before the colon registers them."""


def short_name(env_id: str) -> str:
    """Return an id without module, namespace and version, as `RepeatFirstEasy`."""
    name = env_id.rpartition(":")[2].rpartition("/")[2]
    return name.removeprefix("popgym-").rpartition("-v")[0] or name
