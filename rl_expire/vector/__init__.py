"""Vector environments: make them, guard them, run them in processes, save their state."""
