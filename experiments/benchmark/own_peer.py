"""The agents of this project as peers, each with the Corridor's default recipe."""

from __future__ import annotations

from dataclasses import replace

import torch

from experiments.benchmark.agents import ENDLESS
from experiments.benchmark.peer import EPISODES, PeerTask, Recipe
from experiments.corridor import Corridor
from experiments.scoring.whole_task import EVAL_SEED
from experiments.training.build import make_trainer
from experiments.training.command_line import agent_config
from rl_expire.scoring.evaluation import evaluate
from rl_expire.vector.faults import closing_envs

CPU = torch.device("cpu")


class OwnPeer:
    """An agent of this project, trained as `rl-expire train corridor --agent NAME` does.

    Args:
        agent: its name.
        task: what it trains on.
        full_task: train on the full task from the first step on, for timing: no curriculum, and
            lifetimes learn, if the agent has any. Otherwise training goes its usual way.

    Raises:
        ValueError: the agent is unknown, or the task is impossible.
    """

    curriculum = True

    def __init__(self, agent: str, task: PeerTask, *, full_task: bool) -> None:
        """Make the trainer."""
        options = Corridor()
        options = options.with_agent(agent_config(options.agent, agent))
        options = replace(
            options,
            seed=task.seed,
            env=replace(options.env, max_length=task.length),
            train=replace(options.train, num_envs=task.num_envs, total_steps=ENDLESS),
        )
        torch.manual_seed(task.seed)
        self.task = task
        self.trainer = make_trainer(options, CPU)
        if full_task:
            self._go_to_full_task()

    def _go_to_full_task(self) -> None:
        """Go to the last level, and stay there however little is solved."""
        schedule = self.trainer.schedule
        schedule.curriculum.go_to(len(schedule.curriculum.levels) - 1)
        schedule.phase = "end"  # the only phase that never moves on
        schedule.forgetting = bool(self.trainer.agent.span_parameters())
        self.trainer.set_level()
        self.trainer.actor.restart()  # or the first episodes would still be short ones

    def recipe(self) -> Recipe:
        """Return how its next update is made."""
        ppo = self.trainer.learner.ppo
        return Recipe(self.trainer.rollout_length, ppo.minibatches, ppo.epochs)

    def update(self) -> int:
        """Make one update; return the environment steps that it took."""
        before = self.trainer.steps
        self.trainer.update()
        return self.trainer.steps - before

    def passes(self) -> float:
        """Return the number of passes over rollouts that all its updates have made.

        Passes end early where the policy has changed enough, and fewer are made of rollouts with
        hardly a choice in them, so they are counted by the optimizer's steps.
        """
        states = self.trainer.learner.optimizer.state.values()
        steps = max((float(state["step"]) for state in states), default=0.0)
        return steps / self.trainer.learner.ppo.minibatches

    def success(self) -> float:
        """Return the success rate of greedy play in the longest corridors."""
        with closing_envs(self.task.make_hardest()) as envs:
            score = evaluate(
                self.trainer.agent, envs, EPISODES, seed=EVAL_SEED, greedy=True, device=CPU
            )
        return score.success
