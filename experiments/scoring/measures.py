"""Every number that a trained agent is scored by, declared once.

A measure appears in `results.json` under its key, in the table after training if it has a label,
and in the table of a comparison if it has a column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rl_expire.scoring.evaluation import Score


@dataclass(frozen=True)
class Scores:
    """The evaluations of one agent.

    Attributes:
        whole: greedy, over the whole task.
        hardest: greedy, at the hardest level alone; the same as `whole` for a task of one level.
        sampled: actions sampled from the policy, over the whole task.
        hardest_sampled: likewise, at the hardest level alone.
        ceiling: mean return of perfect memory over the whole task; NaN if unknown.
        ceiling_hardest: likewise, at the hardest level.
        oracle_return: mean return of the scripted oracle over the whole task; NaN without one.
    """

    whole: Score
    hardest: Score
    sampled: Score
    hardest_sampled: Score
    ceiling: float
    ceiling_hardest: float
    oracle_return: float


@dataclass(frozen=True)
class Measure:
    """One number, or one number per layer.

    Attributes:
        key: its name in `results.json`.
        value: computes it.
        label: its row in the table after training; empty: none.
        column: its column in the table of a comparison; empty: none.
        digits: decimals that it is printed with.
        levels_only: leave its row out for a task of one level, where it repeats another one.
    """

    key: str
    value: Callable[[Scores], Any]
    label: str = ""
    column: str = ""
    digits: int = 3
    levels_only: bool = False


def overall(values: Sequence[float]) -> float:
    """Return the last value, that of all layers together; NaN for an agent without memories."""
    return values[-1] if values else math.nan


MEASURES = (
    Measure("eval.episodes", lambda s: len(s.whole.episodes)),
    Measure("eval.cut_episodes", lambda s: s.whole.cut),
    Measure("eval.success", lambda s: s.whole.success, "success", "success"),
    Measure("eval.return_mean", lambda s: s.whole.return_mean, "mean return"),
    Measure("oracle.return_mean", lambda s: s.oracle_return, "mean return of the oracle"),
    Measure(
        "eval.success_at_hardest",
        lambda s: s.hardest.success,
        "success at the hardest level",
        "at the hardest",
        levels_only=True,
    ),
    Measure(
        "eval.share",
        lambda s: s.whole.return_mean / s.ceiling,
        "share of perfect memory's return",
        "share",
    ),
    Measure("eval.share_at_hardest", lambda s: s.hardest.return_mean / s.ceiling_hardest),
    Measure("eval_sampled.cut_episodes", lambda s: s.sampled.cut),
    Measure(
        "eval_sampled.return_mean",
        lambda s: s.sampled.return_mean,
        "mean return with sampled actions",
    ),
    Measure(
        "eval_sampled.success",
        lambda s: s.sampled.success,
        "success with sampled actions",
        "sampled",
    ),
    Measure(
        "eval_sampled.share",
        lambda s: s.sampled.return_mean / s.ceiling,
        "share with sampled actions",
        "share, sampled",
    ),
    Measure("eval_sampled.success_at_hardest", lambda s: s.hardest_sampled.success),
    Measure(
        "eval.kept_per_layer",
        lambda s: s.whole.kept_per_layer,
        "memories held per layer, mean over steps",
        "held",
        digits=1,
    ),
    Measure(
        "eval.kept_at_decision_per_layer",
        lambda s: s.hardest.kept_at_end_per_layer,
        "memories held at the last decision, hardest level",
        "held at the decision",
        digits=1,
    ),
    Measure("eval.bytes_held", lambda s: s.whole.bytes_held, column="bytes", digits=0),
    Measure(
        "eval.span_relevant",
        lambda s: s.whole.span_relevant,
        "typical lifetime of relevant observations, steps",
        digits=1,
    ),
    Measure(
        "eval.span_other",
        lambda s: s.whole.span_other,
        "typical lifetime of other observations, steps",
        digits=1,
    ),
    Measure("eval.recall_per_layer", lambda s: s.whole.recall[:-1], column="recall per layer"),
    Measure("eval.recall", lambda s: overall(s.whole.recall), "recall at decisions", "recall"),
    Measure(
        "eval.precision_per_layer",
        lambda s: s.whole.precision[:-1],
        column="precision per layer",
    ),
    Measure(
        "eval.precision",
        lambda s: overall(s.whole.precision),
        "precision at decisions",
        "precision",
    ),
    Measure(
        "eval.withdrawn_held",
        lambda s: overall(s.whole.withdrawn_held),
        "withdrawn observations still held",
        "withdrawn, held",
    ),
)


def text_of(value: float | Sequence[float | None] | None, digits: int) -> str:
    """Format a number, or one per layer; a dash for NaN, None and an empty sequence."""
    if isinstance(value, Sequence):
        return ", ".join(text_of(v, digits) for v in value) or "-"
    return "-" if value is None or math.isnan(value) else f"{value:,.{digits}f}"
