"""The Portal maze: remember, room by room, which of two doors leads on."""

from envs.portal.env import PortalEnv as PortalEnv
from envs.portal.env import PortalVectorEnv as PortalVectorEnv
from envs.portal.options import PortalOptions as PortalOptions
