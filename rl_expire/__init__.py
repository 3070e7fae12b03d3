"""Memory that learns what to forget, and the learner and views around it."""
