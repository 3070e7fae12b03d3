"""The recurrent PPO of sb3-contrib as a peer.

Needs the extra `peers`, so this module is only imported where that is installed.
"""

from __future__ import annotations

import numpy as np
from sb3_contrib import RecurrentPPO

from experiments.benchmark.peer import EPISODES, PeerTask, Recipe
from experiments.benchmark.sb3_envs import SB3Envs
from experiments.corridor import Corridor
from experiments.scoring.whole_task import EVAL_SEED
from experiments.training.command_line import agent_config
from rl_expire.scoring.evaluation import quotas
from rl_expire.vector.faults import closing_envs

OWN_PASSES = 10
"""Passes over a rollout, the default of `RecurrentPPO`."""


class SB3Peer:
    """`RecurrentPPO` with its own defaults, but rollouts and minibatches as large as our LSTM's.

    By default it would learn from 128 steps at a time, half a rollout of one corridor: many small
    updates, and no gradient from a choice to its cue. Its networks are an LSTM of our LSTM's width
    for the policy and one for the value, each followed by two layers of 64.

    Args:
        task: what it trains on, always the full task.
        passes: passes over a rollout.

    Raises:
        ValueError: the task is impossible.
    """

    curriculum = False

    def __init__(self, task: PeerTask, passes: int = OWN_PASSES) -> None:
        """Make environments and learner."""
        options = Corridor()
        lstm = agent_config(options.agent, "lstm")
        options = options.with_agent(lstm)
        rollout = options.train.longest_rollout or options.train.rollout_length
        self.task = task
        self._updates = 0
        self._recipe = Recipe(rollout, options.ppo.minibatches, passes)
        self.model = RecurrentPPO(
            "MlpLstmPolicy",  # observations are no images to it, but categories in a small box
            SB3Envs(task.make()),
            n_steps=rollout,
            batch_size=rollout * task.num_envs // options.ppo.minibatches,
            n_epochs=passes,
            policy_kwargs={"lstm_hidden_size": lstm.width},
            seed=task.seed,
            device="cpu",
        )

    def recipe(self) -> Recipe:
        """Return how all its updates are made."""
        return self._recipe

    def update(self) -> int:
        """Make one update; return the environment steps that it took."""
        before = self.model.num_timesteps
        steps = self._recipe.rollout * self.task.num_envs
        # That is one iteration, and the log is written at every second: never.
        self.model.learn(steps, log_interval=2, reset_num_timesteps=before == 0)
        self._updates += 1
        return self.model.num_timesteps - before

    def passes(self) -> float:
        """Return the number of passes over rollouts that all its updates have made."""
        return float(self._updates * self._recipe.passes)

    def success(self) -> float:
        """Return the success rate of greedy play in the longest corridors."""
        with closing_envs(self.task.make_hardest()) as envs:
            obs, _ = envs.reset(seed=EVAL_SEED)
            left, successes = quotas(EPISODES, envs.num_envs), 0
            memory, is_first = None, np.ones(envs.num_envs, bool)
            while (left > 0).any():
                action, memory = self.model.predict(obs, memory, is_first, deterministic=True)
                obs, _, terminated, truncated, info = envs.step(action)
                is_first = terminated | truncated
                counted = is_first & (left > 0)
                if counted.any():
                    successes += int(info["final_info"]["success"][counted].sum())
                left -= counted
        return successes / EPISODES
