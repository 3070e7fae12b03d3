"""Memory: attention, lifetimes that expire, and slots that are freed."""
