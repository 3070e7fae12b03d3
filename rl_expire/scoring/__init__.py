"""Scoring: evaluate trained agents, and summarise several seeds."""
