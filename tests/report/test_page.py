"""The report's page in a real browser: used as people use it, and served while rounds are trained."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest

from digitcmp.errors import RunError
from digitcmp.files import write_whole
from digitcmp.localhost import LocalServer
from digitcmp.report import cli
from digitcmp.report.build import live_page, make_report
from digitcmp.report.metrics import METRICS, TEST_ACCURACY
from digitcmp.report.page import data
from digitcmp.report.page.html import machine, several, trained_on
from digitcmp.report.serve import LiveReport, report_server
from digitcmp.report.study import study
from tests.conftest import Ended
from tests.pages import ask, browsing, needs_chromium, serving
from tests.report.made import configuration, write_run

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
WEIGHTS = {0.0: 0.80, 0.5: 0.90, 1.0: 0.85}
RIGHT = range(90, 100)


def write_weights(folder: Path) -> Path:
    """Three configurations of one network, whose accuracies are not in the order of their weights; a round of the last one failed."""
    for weight, accuracy in WEIGHTS.items():
        seeds = {seed: accuracy + (seed * 7 % 5) / 100 for seed in range(8)} | ({7: None} if weight == 1 else {})
        write_run(folder / f"aux_weight={weight}", seeds, configuration(aux_weight=weight), right=RIGHT)
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, and its report."""
    folder = write_weights(tmp_path_factory.mktemp("weights"))
    make_report([folder])
    return folder


@pytest.fixture(scope="module")
def url(sweep: Path) -> str:
    """The page on disk."""
    return (sweep / "summary" / "report.html").as_uri()


def names(page: Any, table: str = "table") -> list[str]:
    """The configurations in the rows of a table that are shown, in their order."""
    return [text for text in page.locator(f"#{table} tbody tr:visible .name").all_inner_texts() if text]


def test_what_was_trained_stands_first(tmp_path: Path) -> None:
    """Data, pairs and epochs, also where some of them vary; and what trained it, in words."""
    for number, changed in enumerate(({}, {"data__train_pairs": 2000}, {"epochs": 7, "data__source": "digits"})):
        write_run(tmp_path / str(number), {0: 0.8, 1: 0.7}, configuration(**changed))
    page = live_page([tmp_path], None, TEST_ACCURACY, {}, True, 0)
    assert page
    runs = study([tmp_path], different_data=True).sweep.runs
    first = trained_on(runs)
    assert f'<p class="soft" id="trained">{first}</p>' in page
    assert re.fullmatch(r"data: \w+ or \w+; [\d,]+ or 2,000 training pairs; [\d,]+ test pairs; \d+ or \d+ epochs", first)
    assert trained_on(runs.assign(**{"epochs": 1, "data.train_pairs": 21})).endswith("; 21 training pairs; 1,000 test pairs; 1 epoch")
    held_out = runs.assign(**{"epochs": 1, "data.train_pairs": 100, "data.val_pairs": 20, "data.target": "same"})
    assert trained_on(held_out).endswith("; 80 training pairs; 20 validation pairs; 1,000 test pairs; 1 epoch; target: same")
    assert "Time: all rounds together, failed ones too.</li>" in page
    assert "interquartile" not in page.partition("<h2>Methods")[2].partition("<h2>")[0]
    assert several(pd.Series([100, 200, 500, 1000])) == "100 to 1,000"
    assert several(pd.Series(["mnist", None])) == "mnist"
    assert machine({"threads": 1, "device_name": "x"}) == "threads 1, device_name x"
    assert machine({}) == "unknown"


@needs_chromium
def test_effects_are_no_configurations(tmp_path: Path) -> None:
    """The rows of a factorial's effects keep their names, also where a configuration has the same one, and lead to none."""
    for shared in (False, True):
        for norm in (False, True):
            accuracies = {seed: 0.8 + shared / 20 + (seed * 7 % 5) / 1000 for seed in range(8)}
            write_run(tmp_path / f"{shared},{norm}", accuracies, configuration(model__weight_sharing=shared, model__batchnorm=norm))
    with browsing(make_report([tmp_path]).path.as_uri(), 1300) as (page, _):
        assert names(page, "effects-table") == ["weight_sharing", "batchnorm", "weight_sharing × batchnorm"]
        assert page.locator("#effects-table button").count() == page.locator("#effects-table th button").count()
        assert "batchnorm" in names(page, "comparisons")


@needs_chromium
@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 390)])
def test_used_by_a_reader(url: str, scheme: str, width: int) -> None:
    """Tables are sorted, everything is filtered, figures answer, a configuration is looked at; nothing is wider than the window."""
    with browsing(url, width, color_scheme=scheme) as (page, expect):
        assert names(page) == ["aux_weight=0", "aux_weight=0.5", "aux_weight=1"]
        median = page.locator("#table th", has_text="median")
        for order, said in (([2, 3, 1], "descending"), ([1, 3, 2], "ascending"), ([1, 2, 3], None)):
            median.locator("button").click()
            assert names(page) == [["aux_weight=0", "aux_weight=0.5", "aux_weight=1"][one - 1] for one in order]
            assert median.get_attribute("aria-sort") == said
        assert page.locator("figure[data-chart] .chart svg").count() == 4
        assert not page.locator("figure[data-chart] .static:visible").count()
        assert page.locator("#swept .static").is_visible()

        page.fill("#filter", "aux_weight=0.5")
        assert (names(page), names(page, "comparisons"), names(page, "runs")) == (["aux_weight=0.5"],) * 3
        expect(page.locator("#count")).to_have_text("1 of 3")
        assert page.locator(".legend button").all_inner_texts() == ["aux_weight=0.5"]
        page.fill("#filter", "weight")
        page.locator(".legend button").nth(1).click()
        assert page.locator("#curves g[data-of]").evaluate_all("all => all.map((one) => one.dataset.of)") == ["0", "2"]

        page.locator("#curves svg").hover()
        expect(page.locator("#curves .tip")).to_contain_text("aux_weight=1: 7")  # at the second of three epochs: 77 %
        page.select_option("#curves select", "quartiles")
        page.locator("#curves svg").hover()
        expect(page.locator("#curves .tip")).to_contain_text(re.compile(r"epoch 2.*aux_weight=1: 7\d.\d\d % \(7"))
        dots = page.locator("#distribution svg")
        dots.scroll_into_view_if_needed()
        box = dots.bounding_box()
        x, y = dots.evaluate("(one) => one.querySelector('.dots').getAttribute('d').match(/^M([\\d.]+),([\\d.]+)/).slice(1).map(Number)")
        page.mouse.move(box["x"] + x, box["y"] + y)
        expect(page.locator("#distribution .tip")).to_contain_text("seed 0")
        assert page.locator("#distribution .seed").count() == 2  # the same round of both configurations
        assert page.locator("#differences .seed").count() == 1

        page.locator("#table .name button", has_text="aux_weight=1").click()
        about = page.locator("#about")
        expect(about).to_contain_text("It differs from aux_weight=0 in 1 key.")
        assert about.locator("tbody tr").first.inner_text().split() == ["aux_weight", "1", "0"]
        about.locator("summary").click()
        expect(about).to_contain_text("optimizer.lr")
        page.click("#close")
        expect(about).to_be_hidden()


@needs_chromium
def test_more_configurations_than_a_figure_holds(tmp_path: Path) -> None:
    """The first ones that pass the filter are drawn, the same in every figure; of many bands, that of the name at the pointer alone."""
    for number in range(26):
        write_run(tmp_path / str(number), {0: 0.8, 1: 0.81 + number / 1000}, configuration(batch_size=100 + number))
    with browsing(make_report([tmp_path]).path.as_uri()) as (page, expect):
        drawn = {name: page.locator(f"#{name} g[data-of]").count() for name in ("curves", "distribution", "differences")}
        assert drawn == {"curves": 24, "distribution": 24, "differences": 23}  # the first one is the baseline
        expect(page.locator(".legend")).to_contain_text("and 2 more")
        assert not page.locator("#curves .band:visible").count()
        page.locator(".legend button").nth(1).hover()
        assert page.locator("#curves .band:visible").count() == 1
        page.fill("#filter", "batch_size=12")
        drawn_of = page.locator("#differences g[data-of]").evaluate_all("all => all.map((one) => Number(one.dataset.of))")
        assert drawn_of == list(range(20, 26))
        assert page.locator("#curves .band:visible").count() == 6
        page.locator(".legend button").nth(2).dblclick()
        assert page.locator("#curves g[data-of]").count() == 1
        page.locator(".legend button").nth(2).dblclick()
        assert page.locator("#curves g[data-of]").count() == 6


@needs_chromium
def test_light_dark_and_printed(url: str) -> None:
    """The switch beats the system, and is remembered; prints have the static figures, on white."""
    ground = "() => getComputedStyle(document.body).backgroundColor"
    with browsing(url, color_scheme="dark") as (page, expect):
        dark = page.evaluate(ground)
        page.select_option("#theme", "light")
        light = page.evaluate(ground)
        assert light != dark
        page.reload()
        assert page.evaluate(ground) == light
        expect(page.locator("#swept source")).to_have_attribute("media", "not all")
        page.select_option("#theme", "")
        assert page.evaluate(ground) == dark
        shades = "() => getComputedStyle(document.querySelector('.wide')).backgroundImage"  # at the edges behind which there is more
        assert page.evaluate(shades).count("gradient") == 4
        page.emulate_media(media="print")
        assert page.evaluate(shades) == "none"
        assert page.locator("figure .static:visible").count() == 5
        assert not page.locator(".chart:visible, #bar:visible, .legend:visible").count()
        assert page.evaluate("() => getComputedStyle(document.querySelector('.wide')).backgroundColor") == "rgb(255, 255, 255)"


@needs_chromium
def test_without_javascript(url: str) -> None:
    """Everything is there but what answers."""
    with browsing(url, 390, java_script_enabled=False) as (page, _):
        assert page.locator("figure .static:visible").count() == 5
        assert page.locator("#table tbody tr").count() == page.locator("#runs tbody tr").count() == 3
        assert not page.locator("#bar:visible, .chart, .legend").count()


@needs_chromium
@pytest.mark.parametrize("width", [390, 1200])
def test_names_of_rows_are_off_the_points(width: int, tmp_path: Path) -> None:
    """Beside their rows where there is room, else above them, short ones and long ones: under no round, box or interval."""
    for number, batch in enumerate((100, 1_000)):
        rounds = {seed: 0.8 + ((seed * 7 + number) % 10) / 100 for seed in range(10)}
        write_run(tmp_path / "short" / str(number), rounds, configuration(batch_size=batch))
        write_run(tmp_path / "long" / str(number), rounds, configuration(model__name=f"a_network_with_a_name_of_some_length_{batch}"))
    off = """rows => rows.map((row) => {
      const name = row.querySelector("text").getBBox();
      const marks = [...row.querySelectorAll(":scope > :not(text)")].map((one) => one.getBBox());
      if (marks.every((one) => one.x >= name.x + name.width)) return "beside";
      return marks.every((one) => one.y >= name.y + name.height - 3) ? "above" : "upon";
    })"""
    for folder, where in (("short", "beside"), ("long", "above")):
        with browsing(make_report([tmp_path / folder]).path.as_uri(), width) as (page, _):
            assert page.locator("#distribution .chart g[data-of], #differences .chart g[data-of]").evaluate_all(off) == [where] * 3


@needs_chromium
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """In tables, figures and data; the policy of the page would keep them from running, and has nothing to say here."""
    for number, seeds in enumerate(({0: 0.8, 1: 0.9}, {0: 0.7, 1: None})):
        write_run(tmp_path / str(number), seeds, configuration(model__name=f"{number}{HOSTILE}"), command=HOSTILE, engine=HOSTILE)
    with browsing(make_report([tmp_path]).path.as_uri()) as (page, expect):
        page.locator("#table .name button").first.click()
        expect(page.locator("#about-name")).to_have_text(f"0{HOSTILE}")
        assert page.locator("script, img[src=x]").count() == 2  # its own, and its data
        assert page.title().startswith("digitcmp: ")


def make(folder: Path) -> Callable[[int], str]:
    """What makes the page of a folder."""
    return lambda version: live_page([folder], None, TEST_ACCURACY, {}, False, version)


@pytest.fixture
def live(sweep: Path) -> Iterator[LocalServer]:
    """The report of the sweep, served."""
    with LiveReport([sweep], make(sweep), looks=0.05, renews=0.05) as report, serving(report_server(report, 0)) as server:
        yield server


def appears(directory: Path, *given: Any) -> None:
    """A run is there at once, for whoever looks meanwhile: made elsewhere, and moved."""
    with TemporaryDirectory(dir=directory.parent.parent) as elsewhere:
        write_run(Path(elsewhere, directory.name), *given).rename(directory)


def test_what_a_page_is_renewed_for(tmp_path: Path) -> None:
    """Another command that has asked for the same runs in another order, so that the baseline is another one; not for nothing."""
    first, last = (write_run(tmp_path / name, {0: 0.8, 1: 0.9}, configuration(model__name=name)) for name in ("net1", "net2"))
    report = LiveReport([tmp_path], make(tmp_path))
    report.renew()
    assert not report.look()
    assert "test accuracy to net1 (Hodges" in report.page
    for directory, number in ((last, 0), (first, 1)):
        about = json.loads((directory / "run.json").read_text())
        write_whole(directory / "run.json", json.dumps({**about, "jobs": [*about["jobs"], [9, number]]}))
    assert report.look()
    report.renew()
    assert not report.look()
    assert "test accuracy to net2 (Hodges" in report.page


@needs_chromium
def test_served_while_rounds_are_trained(tmp_path: Path) -> None:
    """It says why there is no report yet, then has one, then another with the next configuration; what was chosen stays."""
    write_run(tmp_path / "a", {}, configuration(model__name="net1"), status="running", seeds=[0, 1, 2])
    with (
        LiveReport([tmp_path], make(tmp_path), looks=0.05, renews=0.05) as report,
        serving(report_server(report, 0)) as server,
        browsing(server.url, 390) as (page, expect),
    ):
        expect(page.locator("#message")).to_contain_text("no round is on record yet")
        expect(page.locator("#progress")).to_contain_text("0 of 3 rounds done")
        appears(tmp_path / "b", {0: 0.8, 1: 0.9, 2: 0.85}, configuration(model__name="net2"))
        expect(page.locator("#table tbody tr")).to_have_count(2)
        expect(page.locator("#progress")).to_contain_text("3 of 6 rounds done")
        page.fill("#filter", "net3")
        expect(page.locator("#count")).to_have_text("0 of 2")
        appears(tmp_path / "c", {0: 0.7, 1: 0.6, 2: 0.65}, configuration(model__name="net3"))
        expect(page.locator("#count")).to_have_text("1 of 3")
        assert names(page) == ["net3"]
        assert not page.locator("#runs a").count()
        page.emulate_media(media="print")  # it has no static figures
        expect(page.locator(".chart:visible")).to_have_count(2)
        assert not page.locator(".tools:visible").count()
        assert page.locator(".legend:visible").count() == 1
        page.emulate_media(media="screen")
        moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
        expect(page.locator("#progress .lost")).to_contain_text("there is no such folder")
        expect(page.locator("#table tbody tr")).to_have_count(3)
        moved.rename(tmp_path)
        expect(page.locator("#progress .lost")).to_have_count(0)
    assert not (tmp_path / "summary").exists()


def test_whom_it_answers(live: LocalServer) -> None:
    """Its own page alone: no other site reads results, under whatever name it reaches this machine."""
    for path in ("/", "/state"):
        assert ask(live, path)[0] == 200
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert ask(live, path, **headers) == (403, b"")
    assert ask(live, "/run.json")[0] == ask(live, "/", {})[0] == 404


def test_what_ends_the_command(run_main: Callable[..., Ended], live: LocalServer, sweep: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """One line each, for what is wrong and for Ctrl-C."""
    for arguments, said in (
        ((sweep, "--serve", "--port", live.server_port), "Address already in use; give another"),
        ((sweep, "--serve", "--port", 70000), "must be from 0 to 65,535"),
        ((sweep, "--port", 70), "--port and --open are for --serve"),
        ((tmp_path, "--serve"), "holds no run"),
    ):
        ended = run_main(cli.main, *map(str, arguments))
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1), ended.err
        assert said in ended.err

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalServer, "serve_forever", interrupt)
    ended = run_main(cli.main, sweep, "--serve", "--port", "0")
    assert ended.code == 130
    assert ended.out.startswith("the page  http://127.0.0.1:")
    assert "the page has gone" in ended.err


def test_why_there_is_no_report(run_main: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a search, and of runs that were not begun together, the page says so, and how far they are."""
    pages: list[str] = []

    def look(server: LocalServer) -> None:
        request: Any = None
        while json.loads(server.routes["GET /state"](request).content)["version"] == 0:
            time.sleep(0.02)
        pages.append(server.routes["GET /"](request).content.decode())
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalServer, "serve_forever", look)
    write_run(tmp_path / "search" / "0", {0: None}, configuration(test=False))
    for name in ("net1", "net2"):
        write_run(tmp_path / "alone" / name, {0: 0.8, 1: 0.9}, configuration(model__name=name), jobs=[])
    for folder, options, said in (
        ("search", [], "holds no tested run"),
        ("alone", [], "these runs were not begun together; --compare compares them all the same"),
        ("alone", ["--compare", "--baseline", "net2"], "Compared with net2, round by round"),
    ):
        assert run_main(cli.main, tmp_path / folder, "--serve", "--port", "0", *options).code == 130
        assert said in pages[-1]


def test_a_report_that_cannot_be_made_is_told(sweep: Path) -> None:
    """In the page, as is one that nobody renews any more."""

    def broken(_: int) -> str:
        raise RunError("<b>it broke</b>")

    report = LiveReport([sweep], broken)
    assert report.look()
    report.renew()
    assert (report.version, report.look()) == (1, False)
    assert "&lt;b&gt;it broke&lt;/b&gt;" in report.page
    with pytest.raises(RunError, match="not renewed any more"):
        report.state()


def test_folder_that_is_gone(sweep: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The page stays as it was, and says so as long as it is so; the terminal says it once. Another folder is looked at as before."""
    kept, gone = shutil.copytree(sweep, tmp_path / "kept"), shutil.copytree(sweep, tmp_path / "gone")
    report = LiveReport([gone, kept], lambda version: f"page {version}")
    assert report.look()
    report.renew()
    gone.rename(tmp_path / "elsewhere")
    shutil.rmtree(kept / "aux_weight=1.0")
    for _ in range(2):
        assert not report.look()
    with report:
        state = report.state()
    (text,) = state["lost"]
    assert "there is no such folder" in text
    assert f"{gone}" in text
    assert [one["done"] for one in state["progress"]] == [24, 16]
    assert (report.version, report.page) == (1, "page 1")
    assert capfd.readouterr().err.count("there is no such folder") == 1
    (tmp_path / "elsewhere").rename(gone)
    assert report.look()
    assert report.lost == {}


def test_data_of_the_figures(sweep: Path) -> None:
    """Values as tables have them; what failed, and what is infinite, is there."""
    results = study([sweep])
    found = data.page_data(results)
    assert [one["values"] for one in found["configurations"]] == [{"aux_weight": text} for text in ("0", "0.5", "1")]
    assert found["common"]["optimizer.lr"] == "0.4"
    assert (found["baseline"], found["metric"]["chance"], found["metric"]["worst"]) == (0, 55.0, "-Infinity")
    assert found["curves"][1]["x"] == [1, 2, 3]
    assert found["curves"][1]["mean"][2] == 92
    assert found["rounds"][2] == {"of": 2, "seeds": list(range(7)), "values": [85, 87, 89, 86, 88, 85, 87], "failed": [7]}
    assert [one["of"] for one in found["differences"]] == [1, 2]
    assert found["distances"][0]["x"] == list(range(10))
    assert data.number(float("inf"), TEST_ACCURACY) == "Infinity"
    assert data.number(float("nan"), METRICS["seconds"]) is None


def test_long_curves_are_thinned(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their first and last epochs stay."""
    results = study([sweep])
    monkeypatch.setattr(data, "MOST_POINTS", 4)
    assert data.thinned(results.curves)["epoch"].tolist() == [1, 3] * 3
