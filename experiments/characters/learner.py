"""What a model of characters learns from a segment of text."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from experiments.characters.model import Characters
from experiments.characters.training import Training
from rl_expire.memory import StackMemory, StackOutput

EARLY = 0.3
"""Share of its lifetime by which memories fade ahead of time while lifetimes learn."""
WARM_UP = 0.05
"""Share of the updates in which the learning rate rises."""


class Learner:
    """Adam on the next character; lifetimes learn jointly, or by self-distillation.

    Joint training (Sukhbaatar et al. 2021, equation 8) adds the cost of memory to the loss. By
    self-distillation, lifetimes learn from nothing but how much the model's answers change when
    memories fade ahead of time, and everything else from the text alone.

    Args:
        model: the model.
        training: learning rate and weight of the cost.
    """

    def __init__(self, model: Characters, training: Training):
        """Create the optimizer."""
        self.model, self.training = model, training
        self.optimizer = torch.optim.Adam(model.parameters(), lr=training.rate)
        self.spans = model.stack.span_parameters() if model.kind == "expire-span" else []

    def update(self, segment: Tensor, memory: StackMemory, update: int) -> StackOutput:
        """Learn from the segment `[B, T + 1]` that follows on `memory`."""
        text, following = segment[:, :-1], segment[:, 1:]
        logits, output = self.model(text, memory)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())
        joint = 0.0 if self.spans else self.training.alpha * output.cost / self.model.size
        self.optimizer.zero_grad()
        (loss + joint).backward()
        if self.spans:
            self._distill(text, memory, logits.detach())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * self._share(update)
        self.optimizer.step()
        return output

    def _distill(self, text: Tensor, memory: StackMemory, answer: Tensor) -> None:
        """Set the gradients of the lifetimes: keep the `answer`, with as short ones as possible."""
        logits, output = self.model(text, memory, early=EARLY)
        target, given = answer.log_softmax(-1), logits.log_softmax(-1)
        missed = nn.functional.kl_div(given, target, log_target=True, reduction="none").sum(-1)
        loss = missed.mean() + self.training.alpha * output.span_penalty
        for p, gradient in zip(self.spans, torch.autograd.grad(loss, self.spans), strict=True):
            p.grad = gradient

    def _share(self, update: int) -> float:
        """Return the learning rate of an update, as a share of the highest: up, then to 0."""
        done = (update + 1) / (self.training.updates + 1)
        return min(1.0, done / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def score(model: Characters, test: Tensor, steps: int) -> tuple[float, float, int]:
    """Return bits per character, memories held by a layer for a row, and bytes of all memory.

    Args:
        model: the model.
        test: text that it has not seen, `[B, length]`.
        steps: T, characters of a segment.
    """
    memory = model.stack.initial_memory(len(test))
    losses, held, sizes = [], [], []
    for start in range(0, test.shape[1] - steps, steps):
        segment = test[:, start : start + steps + 1]
        logits, output = model(segment[:, :-1], memory)
        memory = output.memory
        losses.append(nn.functional.cross_entropy(logits.flatten(0, 1), segment[:, 1:].flatten()))
        held.append(output.held.mean())
        sizes.append(memory.nbytes)
    bits = float(torch.stack(losses).mean()) / math.log(2)
    return bits, float(torch.stack(held).mean()), max(sizes)
