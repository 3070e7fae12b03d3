"""Recurrent transformers; a `Lifetime` decides what each of them remembers."""

from agents.transformer.agent import MemoryTransformer
from agents.transformer.config import TransformerConfig
from agents.transformer.layer import LayerOutput, MemoryLayer
from agents.transformer.memory import TransformerMemory
from agents.transformer.segment import Segment

__all__ = [
    "LayerOutput",
    "MemoryLayer",
    "MemoryTransformer",
    "Segment",
    "TransformerConfig",
    "TransformerMemory",
]
