"""Retention: record, film and chart what an agent remembers."""
