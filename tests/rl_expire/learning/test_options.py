"""Invalid options are rejected with an error that names the field."""

import math
from typing import Any

import pytest

from rl_expire.learning.curriculum import CurriculumConfig
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig
from rl_expire.validate import OptionError

INVALID: list[tuple[type, str, Any, str]] = [
    (PPOConfig, "epochs", 0, "is 0: choose 1 or more"),
    (PPOConfig, "minibatches", 0, "is 0: choose 1 or more"),
    (PPOConfig, "clip", -1.0, "is -1.0: choose a number above 0"),
    (PPOConfig, "value_clip", 0.0, "is 0.0: choose a number above 0"),
    (PPOConfig, "learning_rate", math.nan, "is nan: choose a number above 0"),
    (PPOConfig, "max_grad_norm", 0.0, "is 0.0: choose a number above 0"),
    (PPOConfig, "stop_kl", 0.0, "is 0.0: choose a number above 0"),
    (PPOConfig, "value_cost", -1.0, "is -1.0: choose 0 or more"),
    (PPOConfig, "gamma", 0.0, "is 0.0: choose a number above 0 and at most 1"),
    (PPOConfig, "gae_lambda", 2.0, "is 2.0: choose a number from 0 to 1"),
    (ForgettingConfig, "alpha", -1.0, "is -1.0: choose 0 or more"),
    (ForgettingConfig, "joint_alpha", math.nan, "is nan: choose 0 or more"),
    (ForgettingConfig, "early", 1.0, "is 1.0: choose a number above 0 and below 1"),
    (ForgettingConfig, "early", 0.0, "is 0.0: choose a number above 0 and below 1"),
    (ForgettingConfig, "learning_rate", 0.0, "is 0.0: choose a number above 0"),
    (ForgettingConfig, "max_grad_norm", 0.0, "is 0.0: choose a number above 0"),
    (CurriculumConfig, "start", 0, "is 0: choose 1 or more"),
    (CurriculumConfig, "window", 0, "is 0: choose 1 or more"),
    (CurriculumConfig, "growth", 1.0, "is 1.0: choose a number above 1"),
    (CurriculumConfig, "growth", math.inf, "is inf: choose a number above 1"),
    (CurriculumConfig, "advance_at", 2.0, "is 2.0: choose a number above 0 and at most 1"),
    (CurriculumConfig, "retreat_at", -0.1, "is -0.1: choose a number from 0 to 1"),
    (CurriculumConfig, "retreat_at", 0.99, "is 0.99, above advance_at 0.95: lower it"),
    (LearningConfig, "solved_at", 2.0, "is 2.0: choose a number above 0 and at most 1"),
    (LearningConfig, "rate_after_collapse", 0.0, "is 0.0: choose a number above 0 and at most 1"),
    (LearningConfig, "settle_steps", 0, "is 0: choose 1 or more"),
    (LearningConfig, "patience", 0, "is 0: choose 1 or more"),
    (LearningConfig, "entropy_start", 0.0, "is 0.0: choose a number above 0"),
    (LearningConfig, "entropy_end", math.inf, "is inf: choose a number above 0"),
    (LearningConfig, "rate_end", 0.0, "is 0.0: choose a number above 0"),
    (TrainConfig, "total_steps", 0, "is 0: choose 1 or more"),
    (TrainConfig, "num_envs", 0, "is 0: choose 1 or more"),
    (TrainConfig, "rollout_length", 0, "is 0: choose 1 or more"),
    (TrainConfig, "longest_rollout", 0, "is 0: choose 1 or more"),
    (TrainConfig, "checkpoint_every", 0, "is 0: choose 1 or more"),
    (TrainConfig, "keep_last", 0, "is 0: choose 1 or more"),
    (TrainConfig, "most_skipped", -1, "is -1: choose 0 or more"),
]


def test_invalid_values_are_rejected_with_field_and_remedy() -> None:
    for config, field, value, problem in INVALID:
        with pytest.raises(OptionError) as caught:
            config(**{field: value})
        assert str(caught.value) == f"{field} {problem}"
        assert (caught.value.config, caught.value.field) == (config, field)


def test_optional_fields_may_be_none() -> None:
    assert PPOConfig(value_clip=None, stop_kl=None).stop_kl is None
    assert LearningConfig(patience=None).patience is None
    assert TrainConfig(longest_rollout=None).longest_rollout is None
