"""Options of the Instruction task, and the timing of an episode that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from envs.array_env.options import check_integers, check_range
from envs.instruction.grammar import DEEDS, PLACES

MAX_DISTANCE = 1_000_000


@dataclass(frozen=True)
class InstructionOptions:
    """Options of the environment RLExpire/Instruction-v0.

    The first `heard` sentences contain everything that is said to anybody, the later ones all
    arrivals. The last sentence of the first part and the first possible arrival are `min_distance`
    apart, the first sentence and the last arrival `max_distance`. If `ordered`, places are also
    reached before it is their turn.

    Raises:
        ValueError: If an option is impossible; the message names it and the remedy.
    """

    instructions: int = 3
    """Number of instructions to carry out."""
    withdrawn: int = 1
    """Number of further instructions, each of which is withdrawn later."""
    decoys: int = 2
    """Number of instructions and withdrawals that are addressed to somebody else."""
    chatter: float = 0.5
    """Share of sentences that mean nothing."""
    min_distance: int = 20
    """Fewest steps from hearing an instruction to reaching its place."""
    max_distance: int = 100
    """Most steps from hearing an instruction to reaching its place."""
    ordered: bool = False
    """Require instructions to be carried out in the order heard."""
    places: int = 8
    """Number of places."""
    deeds: int = 6
    """Number of deeds."""

    def __post_init__(self) -> None:
        """Check every option."""
        check_integers(self, "instructions", "withdrawn", "decoys", "places", "deeds")
        check_integers(self, "min_distance", "max_distance")
        check_range(self, "places", 2, len(PLACES))
        check_range(self, "deeds", 1, len(DEEDS))
        check_range(self, "instructions", 1)
        check_range(self, "withdrawn", 0)
        check_range(self, "decoys", 0)
        if not 0 <= self.chatter < 1:
            raise ValueError(f"chatter={self.chatter} is impossible: give 0 to below 1")
        for name, least in (("places", self.given + 1), ("deeds", self.given)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}={getattr(self, name)} is too few for {self.given} instructions: "
                    f"give {name} >= {least}"
                )
        check_range(self, "min_distance", 1)
        check_range(self, "max_distance", self.first_arrival - 1 + self.visits, MAX_DISTANCE)

    @property
    def given(self) -> int:
        """Number of instructions to the agent, including those that are withdrawn later."""
        return self.instructions + self.withdrawn

    @property
    def said(self) -> int:
        """Number of sentences that ask somebody for something."""
        return self.given + self.withdrawn + self.decoys

    @property
    def visits(self) -> int:
        """Number of arrivals at places for which the agent was given an instruction."""
        return self.given + (self.instructions - 1 if self.ordered else 0)

    @property
    def heard(self) -> int:
        """Number of sentences among which everything is said."""
        return ceil(self.said / (1 - self.chatter))

    @property
    def first_arrival(self) -> int:
        """Index of the first sentence that can be an arrival."""
        return self.heard - 1 + self.min_distance
