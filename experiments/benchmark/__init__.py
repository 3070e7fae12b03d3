"""Time environments, training and acting."""
