"""Many learners, each a process that torchrun has started: what they share.

Every rank steps environments of its own. Gradients are averaged, and whatever decides how training
goes on (episodes, rewards, statistics) is gathered in the order of the ranks, so that each of them
computes the same from it and their weights stay the same. With one rank every function here returns
what it is given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import (
    PrefixStore,  # pyright: ignore[reportPrivateImportUsage]
    Store,  # pyright: ignore[reportPrivateImportUsage]
    TCPStore,  # pyright: ignore[reportPrivateImportUsage]
)

T = TypeVar("T")


class RankError(RuntimeError):
    """Another rank has ended, or rank 0 has raised an error; the message says which."""


def join(device: torch.device) -> None:
    """Join the other processes that torchrun has started; do nothing if there are none.

    Args:
        device: device of the agent: gradients are averaged by NCCL on a GPU, by Gloo on a CPU.

    Raises:
        ValueError: this machine has fewer GPUs than ranks.
    """
    if not dist.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"--nproc-per-node is above {torch.cuda.device_count()}, the number of GPUs here: "
                "lower it, or choose --device cpu"
            )
        torch.cuda.set_device(local)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=_store(),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )


def _store() -> Store | None:
    """Return the store in which ranks find each other; None: one that rank 0 makes for them.

    Unlike the latter, a store of torchrun's own outlives the ranks. After a restart it still holds
    the addresses of the processes that have ended, so every attempt has keys of its own. See
    pytorch/pytorch, issue 135712.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"attempt {attempt}", TCPStore(address, port, is_master=False))


def leave() -> None:
    """Part from the other ranks; from now on this is a process of its own."""
    if dist.is_initialized():
        dist.destroy_process_group()


def size() -> int:
    """Return the number R of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this rank, from 0 to R - 1; rank 0 alone writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def own_seed(seed: int, rows: int) -> int:
    """Return a seed for this rank's `rows` environments, of which each has a seed of its own."""
    return (seed + rank() * rows) % 2**32


def gather(value: T) -> list[T]:
    """Return the `value` of every rank, in order.

    Raises:
        RankError: another rank has ended.
    """
    values = [value] * size()
    _share(lambda: dist.all_gather_object(values, value))
    return values


def gather_on_first(value: T) -> list[T]:
    """Return the `value` of every rank, in order, on rank 0; an empty list on others.

    Raises:
        RankError: another rank has ended.
    """
    values = [value] * size() if rank() == 0 else None
    _share(lambda: dist.gather_object(value, values))
    return values or []


def chain(items: list[T]) -> list[T]:
    """Return the items of every rank, in order, in one list."""
    return [item for part in gather(items) for item in part]


def total(number: float) -> float:
    """Return the sum of every rank's `number`."""
    return sum(gather(number))


def mean(number: float) -> float:
    """Return the mean of every rank's `number`."""
    return total(number) / size()


def means(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each number over the ranks where it is not NaN."""
    parts = gather(numbers)
    if len(parts) == 1:
        return dict(numbers)
    known = {name: [p[name] for p in parts if not math.isnan(p[name])] for name in numbers}
    return {name: sum(k) / len(k) if k else math.nan for name, k in known.items()}


def concat(tensor: Tensor, dim: int = 0) -> Tensor:
    """Concatenate every rank's `tensor` along `dim`, in order; elsewhere their shapes agree."""
    if size() == 1:
        return tensor
    return torch.cat(gather(tensor.detach().cpu()), dim).to(tensor.device)


def average_gradients(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    """Average the gradients of `parameters` over the ranks, in place.

    A parameter that a rank has no gradient for counts as one with the gradient 0 there; if no rank
    has one, it keeps none.

    Args:
        parameters: the same ones on every rank.
        loss: `[]`, whose gradients they are.

    Returns:
        The mean loss `[]`, without gradient; not finite if any rank's is not.

    Raises:
        RankError: another rank has ended.
    """
    if size() == 1:
        return loss.detach()
    learning = list(parameters)
    has_gradient = loss.new_tensor([p.grad is not None for p in learning])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
    average = _average([loss.detach(), has_gradient, *gradients])
    mean_loss, shares, *gradients = average
    for p, share, gradient in zip(learning, shares.tolist(), gradients, strict=True):
        p.grad = gradient if share > 0 else None
    return mean_loss


def average_buffers(module: nn.Module) -> None:
    """Average the buffers of `module` that hold floating-point numbers over the ranks, in place."""
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    if size() == 1 or not buffers:
        return
    for buffer, average in zip(buffers, _average(buffers), strict=True):
        buffer.copy_(average)


def on_first(function: Callable[[], T]) -> T:
    """Call `function` on rank 0 only, and return its result on every rank.

    Raises:
        Exception: on rank 0, whatever `function` raises.
        RankError: it raised that on rank 0, or another rank has ended.
    """
    if size() == 1:
        return function()
    if rank() > 0:
        result, problem = _broadcast(None)
        if problem is not None:
            raise RankError(f"rank 0 stopped: {problem}")
        return result
    try:
        result = function()
    except Exception as error:
        _broadcast((None, str(error)))
        raise
    _broadcast((result, None))
    return result


def together(function: Callable[[], T], kind: type[Exception]) -> T:
    """Call `function` on every rank; if it raises `kind` on one, raise that on all.

    Args:
        function: what to call.
        kind: an exception that is made from a message. Others are not caught.

    Raises:
        RankError: another rank has ended.
    """
    if size() == 1:
        return function()
    result, problem = None, None
    try:
        result = function()
    except kind as error:
        problem = str(error)
    problems = [p for p in gather(problem) if p is not None]
    if problems:
        raise kind(problems[0])
    return result  # type: ignore[return-value]


def _average(tensors: list[Tensor]) -> list[Tensor]:
    """Return the means of tensors over the ranks, computed in one buffer."""
    flat = torch.cat([t.flatten() for t in tensors])
    _share(lambda: dist.all_reduce(flat))
    parts = (flat / size()).split([t.numel() for t in tensors])
    return [part.view_as(t) for part, t in zip(parts, tensors, strict=True)]


def _broadcast(value: Any) -> Any:
    """Return the `value` of rank 0."""
    values = [value]
    _share(lambda: dist.broadcast_object_list(values))
    return values[0]


def _share(call: Callable[[], object]) -> None:
    """Call a function of `torch.distributed`, if there is more than one rank.

    Raises:
        RankError: it failed.
    """
    if size() == 1:
        return
    try:
        call()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RankError(f"rank {rank()} has lost another rank ({reason})") from error
