"""Pages on this machine alone: whoever sends slowly, too much or nonsense is cut off or told, and the server goes on."""

import socket
import time
from collections.abc import Iterator

import pytest

from digitcmp import localhost
from digitcmp.localhost import LocalServer, as_json, html
from tests.pages import ask, serving


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server with a page, and an echo."""
    routes = {"GET /": lambda _: html(b"page"), "POST /echo": lambda request: as_json(request.body())}
    with serving(LocalServer(0, routes, "default-src 'none'")) as server:
        yield server


@pytest.mark.parametrize(
    "begun", [b"G", b"GET / HTTP/1.1\r\nX: ", b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 9999\r\n\r\n{"]
)
def test_a_request_that_comes_byte_by_byte_is_cut_off(server: LocalServer, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a time as a whole, not for each byte."""
    monkeypatch.setattr(localhost, "WAITS", 0.2)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as client:
        client.sendall(begun % server.server_port if b"%d" in begun else begun)
        for _ in range(500):
            try:
                client.sendall(b" ")
            except ConnectionError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("it is heard for ever")
    assert ask(server, "/")[0] == 200


@pytest.mark.parametrize("path", ["/../../etc/passwd", "//etc/passwd", "/%2e%2e/etc/passwd", "/?x=1", "/\x00", "/echo"])
def test_only_what_it_has_is_answered(server: LocalServer, path: str) -> None:
    """It looks nothing up by its path."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
        assert client.recv(100).split()[1] in (b"404", b"400")
