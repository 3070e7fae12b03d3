"""Collision: remember where particles of which colours collided last."""

from envs.collision.env import CollisionEnv as CollisionEnv
from envs.collision.env import CollisionVectorEnv as CollisionVectorEnv
from envs.collision.options import CollisionOptions as CollisionOptions
