"""What tests of pages share: a server while it is needed, what it answers, and a real browser."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest

from digitcmp.localhost import LocalServer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
WAITS = 60_000  # milliseconds: a busy machine is no fault of a page


@contextmanager
def serving(server: LocalServer) -> Iterator[LocalServer]:
    """A server at work."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: LocalServer, path: str, sent: Any = None, **headers: str) -> tuple[int, Any]:
    """What the server answers: its status and what it sends."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    body = None if sent is None else sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    connection.request("GET" if body is None else "POST", path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content) if content[:1] == b"{" else content


@contextmanager
def browsing(url: str, width: int = 1300, **options: Any) -> Iterator[Any]:
    """A page in a browser of its own, and `expect`; at the end its console has said nothing. options: of playwright's `new_page`."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    wrong: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.set_default_timeout(WAITS)
        sync_api.expect.set_options(timeout=WAITS)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        yield page, sync_api.expect
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        browser.close()
    assert wrong == []
