"""The T-Maze: remember a sign from the start of a corridor until the fork at its end."""

from envs.tmaze.env import TMazeEnv as TMazeEnv
from envs.tmaze.env import TMazeVectorEnv as TMazeVectorEnv
from envs.tmaze.options import TMazeOptions as TMazeOptions
