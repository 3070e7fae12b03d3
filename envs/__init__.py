"""Gymnasium environments that cannot be solved without memory.

Importing this package registers them, so that both `import envs` and the prefix in
`gymnasium.make("envs:RLExpire/Corridor-v0")` make their ids known.
"""

import gymnasium

gymnasium.register(
    id="RLExpire/Corridor-v0",
    entry_point="envs.corridor.env:CorridorEnv",
    vector_entry_point="envs.corridor.env:CorridorVectorEnv",
)
gymnasium.register(
    id="RLExpire/Portal-v0",
    entry_point="envs.portal.env:PortalEnv",
    vector_entry_point="envs.portal.env:PortalVectorEnv",
)
gymnasium.register(
    id="RLExpire/Instruction-v0",
    entry_point="envs.instruction.env:InstructionEnv",
    vector_entry_point="envs.instruction.env:InstructionVectorEnv",
)
