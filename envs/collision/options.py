"""Options of the Collision task."""

from __future__ import annotations

from dataclasses import dataclass

from envs.array_env.options import check_integers, check_range

MAX_LENGTH = 100_000_000  # times stay within 32 bits
MIN_SIZE, MAX_SIZE = 4, 32  # coordinates are categories below `rl_expire.vector.cells`'s limit
MAX_PARTICLES = 16
MAX_COLOURS = 6  # MiniGrid's


@dataclass(frozen=True)
class CollisionOptions:
    """Options of the environment RLExpire/Collision-v0.

    Raises:
        ValueError: If an option is impossible; the message names it and the remedy.
    """

    length: int = 500
    """Frames of an episode, each with a question."""
    size: int = 16
    """Side of the square arena, in cells; even, so that its quadrants are equally large."""
    particles: int = 2
    """Number of particles."""
    colours: int = 5
    """Number of colours of particles; questions tell as many times as many pairs apart."""
    change: float = 0.05
    """Probability that a particle changes its colour, per frame."""
    recent: float = 0.4
    """Share of questions about the most recent collision; the others ask for any pair of colours
    that has collided in the episode, each with the same probability."""

    def __post_init__(self) -> None:
        """Check every option."""
        check_integers(self, "length", "size", "particles", "colours")
        check_range(self, "length", 1, MAX_LENGTH)
        check_range(self, "size", MIN_SIZE, MAX_SIZE)
        if self.size % 2:
            raise ValueError(f"size={self.size} is odd: give an even number")
        check_range(self, "particles", 2, MAX_PARTICLES)
        check_range(self, "colours", 2, MAX_COLOURS)
        for name in ("change", "recent"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}={value} is not a probability: give 0 to 1")
