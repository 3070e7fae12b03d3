"""Commands that train, watch and compare agents; importing it registers the environments."""

import envs  # noqa: F401
