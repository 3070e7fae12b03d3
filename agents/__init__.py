"""Agents: policies with memory."""

from typing import Any

import gymnasium as gym

from agents.adaptive_span import AdaptiveSpan, AdaptiveSpanConfig
from agents.compressive import CompressiveConfig, CompressiveTransformer
from agents.expire_transformer import ExpireSpanConfig, ExpireTransformer
from agents.gru import GRU, GRUConfig
from agents.lstm import LSTM, LSTMConfig
from agents.memoryless import Memoryless, MemorylessConfig
from agents.recurrent import RecurrentConfig
from agents.transformer_xl import TransformerXL, TransformerXLConfig
from rl_expire.types import Agent

AgentConfig = (
    ExpireSpanConfig
    | TransformerXLConfig
    | AdaptiveSpanConfig
    | CompressiveConfig
    | LSTMConfig
    | GRUConfig
    | MemorylessConfig
)
AGENTS: dict[type[AgentConfig], type[Agent[Any]]] = {
    ExpireSpanConfig: ExpireTransformer,
    TransformerXLConfig: TransformerXL,
    AdaptiveSpanConfig: AdaptiveSpan,
    CompressiveConfig: CompressiveTransformer,
    LSTMConfig: LSTM,
    GRUConfig: GRU,
    MemorylessConfig: Memoryless,
}
"""Class of each agent, by the class of its options."""
AGENT_CONFIGS = {config.name: config for config in AGENTS}
"""Options class of each agent, by its name on the command line and in `config.json`."""


def make_agent(
    observation_space: gym.Space, action_space: gym.Space, config: AgentConfig
) -> Agent[Any]:
    """Return a new agent with random weights.

    Raises:
        ValueError: a space is not supported.
    """
    return AGENTS[type(config)](observation_space, action_space, config)


__all__ = [
    "AGENTS",
    "AGENT_CONFIGS",
    "GRU",
    "LSTM",
    "AdaptiveSpan",
    "AdaptiveSpanConfig",
    "AgentConfig",
    "CompressiveConfig",
    "CompressiveTransformer",
    "ExpireSpanConfig",
    "ExpireTransformer",
    "GRUConfig",
    "LSTMConfig",
    "Memoryless",
    "MemorylessConfig",
    "RecurrentConfig",
    "TransformerXL",
    "TransformerXLConfig",
    "make_agent",
]
