"""Gymnasium environments that cannot be solved without memory.

Importing this package registers them, so that both `import envs` and the prefix in
`gymnasium.make("envs:RLExpire/Corridor-v0")` make their ids known.
"""

import gymnasium

for _name in ("Corridor", "Portal", "Instruction", "Collision", "TMaze"):
    gymnasium.register(
        id=f"RLExpire/{_name}-v0",
        entry_point=f"envs.{_name.lower()}:{_name}Env",
        vector_entry_point=f"envs.{_name.lower()}:{_name}VectorEnv",
    )
