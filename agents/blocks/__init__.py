"""Building blocks that all agents share."""
