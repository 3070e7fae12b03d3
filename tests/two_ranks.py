"""Call a function in two processes that have joined each other, as torchrun starts them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch._dynamo  # noqa: F401 (optimizers import it, for seconds: here for all forks)

from rl_expire.learning import ranks
from tests.support import CPU

SECONDS = 60.0
"""Time after which a rank that has not answered is a failure."""


class EndedError(Exception):
    """A rank ended without an answer, or raised; the message holds its traceback."""


def set_rank(rank: int, port: int, launch: str, size: int = 2) -> None:
    """Set the environment variables that torchrun sets."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID=launch,
    )


def on_two_ranks(function: Callable[..., Any], *args: Any) -> list[Any]:
    """Return the results of `function(rank, *args)` on two ranks that have joined.

    Raises:
        EndedError: one of them raised.
    """

    def joined(rank: int) -> Any:
        """Join the other rank, and call the function."""
        ranks.join(CPU)
        return function(rank, *args)

    results = as_torchrun(joined)
    for result in results:
        if isinstance(result, EndedError):
            raise result
    return results


def as_torchrun(function: Callable[[int], Any], launch: str = "test") -> list[Any]:
    """Call `function(rank)` in two processes with the variables that torchrun sets.

    They are copies of this one, which has imported everything already.

    Returns:
        The results in the order of the ranks, an `EndedError` for one that raised or was killed.
    """
    fork = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def work(rank: int, answer: Connection) -> None:
        """Call the function, and send what it returned."""
        set_rank(rank, port, launch)
        try:
            answer.send_bytes(pickle.dumps(function(rank)))
        except BaseException:
            answer.send_bytes(pickle.dumps(EndedError(traceback.format_exc())))

    processes, answers = [], []
    for rank in (0, 1):
        receive, send = fork.Pipe(duplex=False)
        processes.append(fork.Process(target=work, args=(rank, send)))
        processes[-1].start()
        send.close()
        answers.append(receive)
    results = [_answer(receive) for receive in answers]
    for process in processes:
        process.join(5)
        process.kill()
    return results


def _answer(receive: Connection) -> Any:
    """Return what a rank has sent."""
    try:
        ready = receive.poll(SECONDS)
        return pickle.loads(receive.recv_bytes()) if ready else EndedError("no answer")
    except EOFError:
        return EndedError("it was killed")
