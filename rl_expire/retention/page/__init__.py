"""The retention page: one HTML file to look through an episode step by step."""
