"""Policies with memory."""

from agents.expire_transformer import ExpireSpanConfig, ExpireTransformer

__all__ = ["ExpireSpanConfig", "ExpireTransformer"]
