"""Memory: attention by age, learned lifetimes, and slots that are reused."""
