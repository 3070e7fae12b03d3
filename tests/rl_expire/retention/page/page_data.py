"""The data of a page, read as a browser reads them, and compared with traces."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rl_expire.retention.page.data import MIN_ATTENTION
from rl_expire.retention.page.write import write_page
from rl_expire.retention.trace import Trace

HALF = 0.5 / 255 + 1e-6
"""Rounding error of masks and attention, which are stored in 255ths."""


class Scripts(HTMLParser):
    """The script elements of a page as a browser parses them: (attributes, content)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.found.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            about, before = self.found[-1]
            self.found[-1] = (about, before + data)


def refuse_constant(name: str) -> None:
    """Fail on NaN and infinities."""
    raise AssertionError(f"{name} is not valid JSON")


def page_data(path: Path) -> dict[str, Any]:
    """Return the data that the page's script reads."""
    (about, content), *rest = Scripts(path.read_text("utf-8")).found
    assert about == {"id": "data", "type": "application/json"}
    assert len(rest) == 1
    return json.loads(content, parse_constant=refuse_constant)


def written(path: Path, *traces: Trace, **bounds: int) -> dict[str, Any]:
    """Write a page and return its data."""
    write_page(traces, path / "page.html", **bounds)
    return page_data(path / "page.html")


def pairs(flat: list[int]) -> dict[int, float]:
    """Return shares by step from `[step, share in 255ths, ...]`."""
    assert len(flat) % 2 == 0
    return {step: share / 255 for step, share in zip(flat[::2], flat[1::2], strict=True)}


def assert_agrees(episode: dict[str, Any], trace: Trace) -> None:
    """Assert that every memory at every step shown is in the data as it is in the trace."""
    first = episode["first"]
    for t in range(first, len(trace.steps)):
        for shown, layer in zip(episode["layers"], trace.steps[t].layers, strict=True):
            lives = [life for life in shown["held"] if life[1] <= t < life[2]]
            spans = {written: span for written, _, _, span in lives}
            assert len(spans) == len(lives)
            assert sorted(spans) == layer.written.tolist()
            masks, n = pairs(shown["fading"][t - first]), t - first
            shares = [pairs(head[n]) for head in shown["attention"]]
            assert len(shares) == shown["heads"] == len(layer.attention)
            for k, step in enumerate(layer.written.tolist()):
                assert spans[step] == pytest.approx(layer.span[k], abs=6e-4)
                assert spans[step] - (t - step) == pytest.approx(layer.remaining[k], abs=6e-4)
                assert masks.get(step, 1.0) == pytest.approx(layer.mask[k], abs=HALF)
                for share, exact in zip(shares, layer.attention[:, k], strict=True):
                    assert (step in share) == (exact >= MIN_ATTENTION)
                    assert share.get(step, exact) == pytest.approx(exact, abs=HALF)
            assert set(masks) | set().union(*shares) <= set(spans)
            assert shown["bytes"][n] == layer.nbytes
