"""Observation encoders, one for each kind of observation space."""

from agents.encoders.base import Encoder
from agents.encoders.make import describe_encoder, make_encoder

__all__ = ["Encoder", "describe_encoder", "make_encoder"]
