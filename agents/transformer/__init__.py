"""Recurrent transformers; a `Lifetime` decides what each of them remembers."""

from agents.transformer.agent import MemoryTransformer
from agents.transformer.config import TransformerConfig
from agents.transformer.memory import TransformerMemory

__all__ = ["MemoryTransformer", "TransformerConfig", "TransformerMemory"]
