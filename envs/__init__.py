"""Gymnasium environments that cannot be solved without memory."""
