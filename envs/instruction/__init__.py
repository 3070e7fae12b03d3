"""The Instruction task: remember what to do where, walk on amid chatter, and do it there."""

from envs.instruction.env import InstructionEnv as InstructionEnv
from envs.instruction.env import InstructionVectorEnv as InstructionVectorEnv
from envs.instruction.options import InstructionOptions as InstructionOptions
