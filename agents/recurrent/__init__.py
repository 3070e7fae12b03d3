"""Agents with a recurrent core: a state of fixed size instead of a memory of states."""

from agents.recurrent.agent import RecurrentAgent
from agents.recurrent.config import RecurrentConfig
from agents.recurrent.layer import RecurrentLayer, States, chrono_init

__all__ = ["RecurrentAgent", "RecurrentConfig", "RecurrentLayer", "States", "chrono_init"]
