"""Learning: acting and rollouts, returns, PPO, forgetting, curriculum and schedule, training."""
