"""The four moves of the T-Maze."""

from __future__ import annotations

import numpy as np

RIGHT, UP, LEFT, DOWN = range(4)

# Change of column and row by action.
STEP_X = np.array([1, 0, -1, 0], np.int32)
STEP_Y = np.array([0, 1, 0, -1], np.int32)
