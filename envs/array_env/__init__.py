"""Environments whose dynamics are array code over N environments, written once.

`ArrayVectorEnv` is the vector environment; `SingleView` presents one row of it as an ordinary
`gymnasium.Env`.
"""

from envs.array_env.batch import ArrayVectorEnv as ArrayVectorEnv
from envs.array_env.oracle import Oracle as Oracle
from envs.array_env.single import SingleView as SingleView
