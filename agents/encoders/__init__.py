"""Observation encoders, one for each kind of observation space."""

from agents.encoders.base import Encoder
from agents.encoders.make import make_encoder

__all__ = ["Encoder", "make_encoder"]
