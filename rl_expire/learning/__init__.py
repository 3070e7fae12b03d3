"""Learning: rollouts, returns, PPO, forgetting, curriculum, and the training loop."""
