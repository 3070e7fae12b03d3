"""Score a trained agent over its whole task, and print what it reached."""
