"""Chromium for the tests of the page, which only continuous integration must have."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright


def refuse_to_run(reason: str) -> NoReturn:
    """Skip these tests; fail them in continuous integration (CI=true), which must run them."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


try:
    from playwright import sync_api
except ImportError:
    refuse_to_run("Playwright is not installed: `pip install playwright`")


def start(playwright: Playwright) -> Browser | None:
    """Return the first browser that starts; None if there is none."""
    paths = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for path in (None, *filter(None, paths)):
        try:
            return playwright.chromium.launch(executable_path=path)
        except sync_api.Error:
            continue
    return None
