"""python -m digitcmp.demo: what the page asks for, whom the server answers, and the page itself in a browser."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitcmp.demo import cli
from digitcmp.demo.networks import Networks
from digitcmp.demo.server import Server
from digitcmp.localhost import LocalServer
from digitcmp.predict.answers import load_kept
from tests.conftest import Ended, compose_config
from tests.experiment.made import train_run
from tests.pages import ask, browsing, needs_chromium, serving
from tests.predict.test_pictures import drawn
from tests.predict.test_predict import SMALL


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs, one of which reads digits; their names would be markup."""
    folder = tmp_path_factory.mktemp("runs")
    for name, overrides in {"reads": ["model=decoder_small", "aux_weight=1"], "<b>net2": ["model=net2"]}.items():
        train_run(compose_config(*SMALL, *overrides), folder / name)
    return [folder / "reads", folder / "<b>net2"]


@pytest.fixture
def server(runs: list[Path]) -> Iterator[LocalServer]:
    """A server for both runs."""
    with serving(Server(Networks(runs, None), 0)) as server:
        yield server


def url(picture: Image.Image) -> str:
    """A drawing as the page sends it."""
    into = io.BytesIO()
    picture.save(into, "PNG")
    return "data:image/png;base64," + base64.b64encode(into.getvalue()).decode()


def test_answers(server: LocalServer) -> None:
    """A drawing is answered by each network from what it sees; a blank one is said to be blank."""
    blank, seven = url(Image.new("RGBA", (280, 280), "white")), url(drawn().convert("RGBA"))
    assert ask(server, "/answer", {"first": blank, "second": seven}) == (200, {"blank": ["first"]})
    status, found = ask(server, "/answer", {"first": seven, "second": seven})
    reads, compares = found["answers"]
    assert (status, found["blank"]) == (200, [])
    assert np.shape(reads["posteriors"]) == (2, 10)
    assert np.shape(reads["seen"]) == (2, 14, 14)
    assert reads["seen"][0] == reads["seen"][1]
    assert compares["posteriors"] is None
    assert sum(compares["probabilities"].values()) == pytest.approx(1)
    assert compares["sign"] == max(compares["probabilities"], key=compares["probabilities"].get)


def test_other_sizes_and_questions(runs: list[Path], tmp_path: Path) -> None:
    """A network of another size, which was asked another question, beside one of this: each is told, and sees its own size."""
    train_run(compose_config(*SMALL, "model=net2", "data.size=20", "data.target=same"), tmp_path / "same")
    with serving(Server(Networks([tmp_path / "same", *runs[:1]], None), 0)) as server:
        told = [(one["size"], one["asked"]) for one in ask(server, "/networks")[1]["networks"]]
        assert told == [(20, ["=", "≠"]), (14, ["≤", ">"])]
        for path, sent in (("/pair", {}), ("/answer", {"first": url(drawn()), "second": url(drawn())})):
            assert [np.shape(answer["seen"]) for answer in ask(server, path, sent)[1]["answers"]] == [(2, 20, 20), (2, 14, 14)]


def test_random_pairs(server: LocalServer, runs: list[Path]) -> None:
    """A pair of test images is answered as they are, not as they are drawn."""
    import torch

    status, found = ask(server, "/pair", {})
    images = torch.tensor(found["images"])
    for run, answer in zip(runs, found["answers"], strict=True):
        (alone,) = load_kept(run).ask(images[None])
        assert answer["probabilities"] == pytest.approx(alone.probabilities, abs=1e-6)
    assert (status, len(found["digits"])) == (200, 2)


def test_without_data(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the test images are not there, drawings are answered all the same, and the page says why there are no pairs."""
    from digitcmp.demo import networks
    from digitcmp.errors import DataError

    def missing(*_: object) -> None:
        raise DataError("no files there")

    monkeypatch.setattr(networks, "load", missing)
    with serving(Server(Networks(runs[:1], str(tmp_path)), 0)) as server:
        assert ask(server, "/networks")[1]["missing"] == "no files there"
        assert ask(server, "/pair", {}) == (400, {"error": "no files there"})
        assert ask(server, "/answer", {"first": url(drawn()), "second": url(drawn())})[0] == 200


def test_whom_it_answers(server: LocalServer) -> None:
    """Its own page, and no other site's, under whatever name that reaches this machine."""
    here = f"127.0.0.1:{server.server_port}"
    assert ask(server, "/networks", Origin=f"http://{here}")[0] == 200
    assert ask(server, "/networks", Host=f"localhost:{server.server_port}")[0] == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "127.0.0.1:1"}):
        assert ask(server, "/networks", **headers) == (403, b"")
        assert ask(server, "/pair", {}, **headers) == (403, b"")
    assert ask(server, "/")[1].startswith(b"<!doctype html>")
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"[]", b"1", b"[" * 100_000, {}, {"first": 1, "second": 2}, {"first": "data:image/png;base64,?", "second": ""},
     {"first": "data:image/png;base64,aGVsbG8=", "second": ""}, {"first": "/etc/passwd", "second": ""}],
)  # fmt: skip
def test_bad_requests(server: LocalServer, sent: Any) -> None:
    """They are refused with a line, and the server goes on."""
    status, found = ask(server, "/answer", sent)
    assert (status, list(found)) == (400, ["error"])
    assert ask(server, "/answer", b"{}", **{"Content-Length": "99999999"})[0] == 400
    assert ask(server, "/nothing")[0] == ask(server, "/nothing", {})[0] == 404
    assert ask(server, "/networks")[0] == 200


def test_bad_commands(run_main: Callable[..., Ended], server: LocalServer, runs: list[Path], tmp_path: Path) -> None:
    """One line each."""
    for arguments, said in (
        ((runs[0], "--port", str(server.server_port)), "Address already in use; give another"),
        ((runs[0], "--port", "70000"), "must be from 0 to 65,535"),
        ((tmp_path,), "holds no run"),
    ):
        ended = run_main(cli.main, *arguments)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1), ended.err
        assert said in ended.err


@needs_chromium
@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 390)])
def test_in_a_browser(server: LocalServer, scheme: Any, width: int) -> None:
    """Somebody draws two digits, asks for a pair, clears one: each is answered, nothing is wider than the window, nothing goes wrong."""
    with browsing(server.url, width, color_scheme=scheme) as (page, expect):
        expect(page.locator("article h2")).to_have_text(["reads", "<b>net2"])
        relation, told = page.locator("#relation"), page.locator("#told")
        for place, points in {"first": [(0.3, 0.2), (0.7, 0.2), (0.4, 0.9)], "second": [(0.5, 0.1), (0.5, 0.9)]}.items():
            expect(relation).to_have_text("?")
            box = page.locator(f"#{place}").bounding_box()
            assert box is not None
            corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
            page.mouse.move(*corners[0])
            page.mouse.down()
            for corner in corners[1:]:
                page.mouse.move(*corner, steps=4)
            page.mouse.up()
        expect(relation).to_have_text(re.compile("[≤>]"))
        expect(page.locator("article .answer").first).to_contain_text("P(first ≤ second)")
        expect(page.locator("article").first.locator(".most")).to_have_count(2)
        page.click("#random")
        expect(told).to_contain_text("test images of a")
        page.click("#clear-first")
        expect(told).to_contain_text("draw the first")  # and the second, where the test image is too faint a drawing


@needs_chromium
def test_three_answers_in_a_browser(tmp_path: Path) -> None:
    """The one that is given, and its probability; with one network it is what the page says."""
    train_run(compose_config(*SMALL, "model=net2", "data.target=three", "model.comparator.outputs=3"), tmp_path / "three")
    with serving(Server(Networks([tmp_path / "three"], None), 0)) as server, browsing(server.url, 1100) as (page, expect):
        page.click("#random")
        relation = page.locator("#relation")
        expect(relation).to_have_text(re.compile("^[<=>]$"))
        sign = relation.text_content()
        expect(page.locator("article .answer")).to_contain_text(re.compile(f"^first {sign} second.*P.first {sign} second. = [0-9.]+"))
