"""Lets tests import `tests.support`, whichever way pytest is started; one thread, as CI has."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before Torch reads it, here and in subprocesses

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
torch.set_num_threads(1)  # `pytest -n auto` has a process a core already


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    torch.manual_seed(0)
