"""The memory page: one HTML file for exploring an episode step by step."""
