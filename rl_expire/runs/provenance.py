"""Where results come from: the commit and the hardware."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

CODE = (":(top)", ":(top,exclude)docs", ":(top,exclude)*.md")
"""Files of a repository on which results depend, as git's pathspecs."""


def commit() -> str:
    """Return the short hash of the checked-out commit; empty outside a git repository.

    A `+` after it says that tracked files have changed since, other than documentation.
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        """Return the output of a git command; empty if it fails."""
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        revision = git("rev-parse", "--short", "HEAD")
        changed = revision and git("status", "--porcelain", "-uno", "--", *CODE)
        return revision + ("+" if changed else "")
    except OSError:
        return ""


def hardware() -> str:
    """Return one line with the processor, its cores, Torch's threads, and the GPU if any."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    text = f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text


def peak_bytes() -> int:
    """Return the largest resident size of this process so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
