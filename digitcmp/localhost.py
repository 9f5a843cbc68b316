"""Pages on this machine alone: a server that answers pages which it has served itself, and how a command serves one until Ctrl-C."""

import argparse
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from digitcmp.errors import DigitcmpError, RunError

ADDRESS = "127.0.0.1"
LARGEST_PORT = 65_535
LARGEST = 4_000_000  # bytes of a request: two drawings
WAITS = 10.0  # seconds for a request to be sent whole


@dataclass(frozen=True)
class Answer:
    """What is sent."""

    content: bytes
    kind: str = "application/json"


def html(page: bytes) -> Answer:
    """A page."""
    return Answer(page, "text/html; charset=utf-8")


def as_json(values: dict[str, Any]) -> Answer:
    """An object."""
    return Answer(json.dumps(values).encode())


class LocalServer(ThreadingHTTPServer):
    """Answers what is asked for at `url`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, routes: "Mapping[str, Callable[[Request], Answer]]", policy: str) -> None:
        """port: 0 for any. routes: what answers, by method and path, as in GET /. policy: what its pages may do, beside their own.

        Raises OSError where another program listens there.
        """
        self.routes, self.policy = routes, f"{policy}; frame-ancestors 'none'"
        super().__init__((ADDRESS, port), Request)
        self.url = f"http://{ADDRESS}:{self.server_port}/"
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    def handle_error(self, request: object, client_address: object) -> None:
        """Called by socketserver: whoever has gone before the answer came is no error, anything else is one."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Request(BaseHTTPRequestHandler):
    """One request."""

    server: LocalServer
    timeout = WAITS
    server_version, sys_version = "digitcmp", ""

    def setup(self) -> None:
        """Called by socketserver. Its timeout is for each read alone: whoever sends a byte now and then would have a thread for ever."""
        super().setup()
        self.late = threading.Timer(WAITS, self.cut)
        self.late.daemon = True
        self.late.start()

    def cut(self) -> None:
        """Hear no more of it."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Called by socketserver."""
        self.late.cancel()
        super().finish()

    def do_GET(self) -> None:
        """Called by http.server."""
        self.answer()

    def do_POST(self) -> None:
        """Called by http.server."""
        self.answer()

    def answer(self) -> None:
        """What the server says; what is wrong with a request in a line. Other sites' pages, which could send here too, get nothing:
        whatever name they have for this machine stands in the request, and so does where it comes from."""
        if self.command == "GET":  # what is asked for has come whole
            self.late.cancel()
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts or (origin and origin.removeprefix("http://") not in self.server.hosts):
            self.send(HTTPStatus.FORBIDDEN, Answer(b""))
            return
        route = self.server.routes.get(f"{self.command} {self.path}")
        if route is None:
            self.send(HTTPStatus.NOT_FOUND, Answer(b""))
            return
        try:
            found, status = route(self), HTTPStatus.OK
        except (DigitcmpError, ValueError, RecursionError) as error:
            found, status = as_json({"error": str(error)}), HTTPStatus.BAD_REQUEST
        self.send(status, found)

    def body(self) -> dict[str, Any]:
        """What was sent, as an object. Raises ValueError for anything else."""
        length = int(self.headers.get("Content-Length", ""))
        if not 0 < length <= LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes, or none")
        content = self.rfile.read(length)
        self.late.cancel()
        sent = json.loads(content)
        if not isinstance(sent, dict):
            raise ValueError("no object")
        return sent

    def send(self, status: HTTPStatus, answer: Answer) -> None:
        """An answer."""
        self.send_response(status)
        headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.content)), "Content-Security-Policy": self.server.policy}
        for name, value in {**headers, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written for each request."""


def add_options(arguments: argparse.ArgumentParser, port: int) -> None:
    """--port, with this one where none is given, and --open."""
    arguments.add_argument("--port", type=int, default=port, metavar="N", help="where the page is; 0 for any (default: %(default)s)")
    arguments.add_argument("--open", action="store_true", help="open the page in the browser")


def check_port(port: int) -> None:
    """Raise RunError for what is no port."""
    if not 0 <= port <= LARGEST_PORT:
        raise RunError(f"--port {port}: must be from 0 to {LARGEST_PORT:,}")


def serve(make_server: Callable[[int], LocalServer], port: int, shown: bool) -> None:
    """Serve a page until Ctrl-C, which is a KeyboardInterrupt that says so. shown: opened in the browser.

    Raises RunError where another program listens at this port.
    """
    try:
        server = make_server(port)
    except OSError as error:
        raise RunError(f"--port {port}: {error.strerror}; give another, or 0 for any that is free") from error
    from digitcmp.terminal import Terminal, say

    console = Terminal()
    say(console, server.url, "the page  ")
    say(console, "Ctrl-C ends it")
    if shown:
        import webbrowser

        webbrowser.open(server.url)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the page has gone") from None
