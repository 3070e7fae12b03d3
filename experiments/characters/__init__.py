"""Predict the next character of a text: the memory outside of reinforcement learning."""
