"""The Corridor: remember the ball at the start until the choice at the far end."""

from envs.corridor.env import CorridorEnv as CorridorEnv
from envs.corridor.env import CorridorVectorEnv as CorridorVectorEnv
from envs.corridor.options import CorridorOptions as CorridorOptions
