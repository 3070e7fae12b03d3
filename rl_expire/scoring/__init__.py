"""Scoring: evaluate trained agents, and summarise results over several seeds."""
