"""Impossible options of agents are refused by an error that names the field and the remedy."""

import math
from typing import Any

import pytest

from agents import (
    AdaptiveSpanConfig,
    AgentConfig,
    CompressiveConfig,
    ExpireSpanConfig,
    LSTMConfig,
    TransformerXLConfig,
)
from rl_expire.validate import OptionError


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (LSTMConfig, {"layers": 0}, "layers is 0: choose 1 or more"),
        (LSTMConfig, {"width": 0}, "width is 0: choose 1 or more"),
        (LSTMConfig, {"feed_forward": 0}, "feed_forward is 0: choose 1 or more"),
        (LSTMConfig, {"layers": 1001}, "layers is 1001: choose 1000 or less"),
        (LSTMConfig, {"width": 10**9}, "width is 1000000000: that agent is too large"),
        (LSTMConfig, {"feed_forward": 10**9, "width": 1}, "width is 1: that agent is too large"),
        (LSTMConfig, {"reconstruct": -1.0}, "reconstruct is -1.0: choose "),
        (LSTMConfig, {"reconstruct": math.nan}, "reconstruct is nan: choose "),
        (LSTMConfig, {"reconstruct": math.inf}, "reconstruct is inf: choose "),
        (LSTMConfig, {"time_scale": 1}, "time_scale is 1: choose 2 or more"),
        (ExpireSpanConfig, {"layers": 0}, "layers is 0: choose 1 or more"),
        (ExpireSpanConfig, {"heads": 0}, "heads is 0: choose 1 or more"),
        (ExpireSpanConfig, {"heads": -1}, "heads is -1: choose 1 or more"),
        (ExpireSpanConfig, {"heads": 3}, "heads is 3: choose a divisor of the width 64"),
        (ExpireSpanConfig, {"capacity": 0}, "capacity is 0: choose 1 or more"),
        (ExpireSpanConfig, {"ramp": 0.0}, "ramp is 0.0: choose a number above 1e-06"),
        (ExpireSpanConfig, {"ramp": math.nan}, "ramp is nan: choose a number above 1e-06"),
        (AdaptiveSpanConfig, {"ramp": -1.0}, "ramp is -1.0: choose a number above 1e-06"),
        (ExpireSpanConfig, {"max_span": 0.0}, "max_span is 0.0: choose a number above 0"),
        (ExpireSpanConfig, {"max_span": math.inf}, "max_span is inf: choose a number above 0"),
        (ExpireSpanConfig, {"max_span": 1e300}, "max_span is 1e+300: choose a number above 0"),
        (ExpireSpanConfig, {"initial_fraction": 0.0}, "initial_fraction is 0.0: choose "),
        (ExpireSpanConfig, {"initial_fraction": 1.0}, "initial_fraction is 1.0: choose "),
        (TransformerXLConfig, {"window": -1}, "window is -1: choose 0 or more"),
        (CompressiveConfig, {"window": -1}, "window is -1: choose 0 or more"),
        (CompressiveConfig, {"rate": 0}, "rate is 0: choose 1 or more"),
        (CompressiveConfig, {"compressed": 0}, "compressed is 0: choose 1 or more"),
    ],
)
def test_impossible_option_is_refused(
    config: type[AgentConfig], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        config(**options)
    assert str(caught.value).startswith(message)
    assert caught.value.field in options
