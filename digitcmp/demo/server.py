"""The page's server: HTTP on this machine alone, for pages that it has served itself."""

import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from digitcmp.demo.networks import Networks
from digitcmp.errors import DigitcmpError

ADDRESS = "127.0.0.1"
LARGEST = 4_000_000  # bytes of a request: two drawings
WAITS = 10.0  # seconds for a request to be sent whole
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'"


class Server(ThreadingHTTPServer):
    """Serves the page and answers what it asks for, at `url`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, networks: Networks, port: int) -> None:
        """port: 0 for any. Raises OSError where another program listens there."""
        self.networks = networks
        self.page = files("digitcmp.demo").joinpath("page.html").read_bytes()
        super().__init__((ADDRESS, port), Handler)
        self.url = f"http://{ADDRESS}:{self.server_port}/"
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    def handle_error(self, request: object, client_address: object) -> None:
        """Called by socketserver: whoever has gone before the answer came is no error, anything else is one."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = WAITS
    server_version, sys_version = "digitcmp", ""

    def do_GET(self) -> None:
        """The page, and who answers."""
        if self.path == "/":
            self.send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif self.path == "/networks":
            self.tell(self.server.networks.about)
        else:
            self.send(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Answers."""
        networks = self.server.networks
        if self.path == "/pair":
            self.tell(lambda: networks.pair() if self.body() is not None else {})
        elif self.path == "/answer":
            self.tell(lambda: networks.compare(self.body()))
        else:
            self.send(HTTPStatus.NOT_FOUND)

    def body(self) -> dict[str, Any]:
        """What was sent, as an object. Raises ValueError for anything else."""
        length = int(self.headers.get("Content-Length", ""))
        if not 0 < length <= LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes, or none")
        sent = json.loads(self.rfile.read(length))
        if not isinstance(sent, dict):
            raise ValueError("no object")
        return sent

    def tell(self, ask: Callable[[], dict[str, Any]]) -> None:
        """What a function returns, as JSON; what is wrong with a request in a line. Other sites' pages, which could send here too, get
        nothing: whatever name they have for this machine stands in the request, and so does where it comes from."""
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts or (origin and origin.removeprefix("http://") not in self.server.hosts):
            self.send(HTTPStatus.FORBIDDEN)
            return
        try:
            found, status = ask(), HTTPStatus.OK
        except (DigitcmpError, ValueError, RecursionError) as error:
            found, status = {"error": str(error)}, HTTPStatus.BAD_REQUEST
        self.send(status, json.dumps(found).encode())

    def send(self, status: HTTPStatus, content: bytes = b"", kind: str = "application/json") -> None:
        """An answer."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), "Content-Security-Policy": POLICY}.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written for each request."""
