"""Chromium, for what is measured in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from digitcmp.errors import RunError


@contextmanager
def chromium() -> Iterator[Any]:
    """What starts one of playwright's browsers, each with a profile of its own. Raises RunError where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise RunError("there is no Chromium here (apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise RunError("playwright is not installed: pip install 'digitcmp[test]'") from error
    with sync_playwright() as playwright:
        yield lambda: playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
