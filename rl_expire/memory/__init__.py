"""Memory: attention by age, learned lifetimes, and slots that are reused.

`MemoryStack` brings them together for models of one's own.
"""

from rl_expire.memory.layer import MemoryLayer
from rl_expire.memory.lifetime import ExpireSpan, FixedWindow, HeadWindows, Lifetime
from rl_expire.memory.stack import MemoryStack, StackMemory, StackOutput

__all__ = [
    "ExpireSpan",
    "FixedWindow",
    "HeadWindows",
    "Lifetime",
    "MemoryLayer",
    "MemoryStack",
    "StackMemory",
    "StackOutput",
]
