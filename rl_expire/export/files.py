"""A policy's step as a file that other runtimes open: ONNX, or PyTorch's export format."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from rl_expire.export.step import PolicyStep

Run = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""One step in a runtime: inputs to outputs, as in `PolicyStep`."""

MOST_ROWS = 2**16
"""Largest number of environments of one step."""


def export_program(step: PolicyStep) -> ExportedProgram:
    """Return the graph of a step for any number of environments from 1 to `MOST_ROWS`."""
    rows = Dim("rows", min=1, max=MOST_ROWS)
    shapes = {name: {axis: rows} for name, axis in step.batch_axes().items()}
    step.eval()
    with quiet():
        return torch.export.export(step, (step.example(3),), dynamic_shapes=(shapes,), strict=False)


def write_onnx(step: PolicyStep, path: Path) -> None:
    """Write a step as an ONNX model, with inputs and outputs named as in `PolicyStep`.

    This needs `onnxscript`.
    """
    program = export_program(step)
    inputs = step.example(1)
    with quiet():
        model = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=list(step(inputs)),
        )
    assert model is not None
    model.save(path)


def write_program(step: PolicyStep, path: Path) -> None:
    """Write a step for `torch.export.load`; its module takes and returns a dict of tensors."""
    torch.export.save(export_program(step), path)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings, which are for those who work on PyTorch."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def open_onnx(path: Path) -> Run:
    """Return the step in an ONNX model, run on one CPU thread. This needs `onnxruntime`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the networks are small: more threads cost time
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = session.run(None, {name: x.numpy() for name, x in inputs.items()})
        return {name: torch.as_tensor(x) for name, x in zip(names, outputs, strict=True)}

    return run


def open_program(path: Path) -> Run:
    """Return the step that `write_program` wrote."""
    return torch.export.load(path).module()
