"""What a report tells of rounds=auto: verdicts worked out again from the records, whatever else is there."""

import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from digitcmp.auto import plan_file
from digitcmp.auto.sequential import Plan, make_plan
from digitcmp.config.identity import configuration_hash
from digitcmp.config.schema import Auto
from digitcmp.report.build import make_report
from digitcmp.report.metrics import METRICS
from digitcmp.report.publish import publish
from digitcmp.report.snapshot import Snapshot
from digitcmp.report.study import study
from digitcmp.report.tables import show
from digitcmp.report.terminal import print_report
from digitcmp.report.verdicts import CAUTION, verdict_columns, verdict_heading
from tests.report.made import configuration, write_run

NETWORKS = ["net2", "net1", "net3", "net4"]  # the baseline is not the first by name, nor the oldest
AUTO = Auto(0.5, 10, 20, 0.05)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """net1: 2 points better, two of its first rounds failed or untrained; net3: as good, with rounds of a later command; net4: its second
    batch is under way. The baseline has an untrained round, too."""
    generator = np.random.default_rng(0)
    base = np.round(generator.normal(0.9, 0.005, 40), 3)
    base[3] = 0.56
    better = np.round(base + generator.normal(0.02, 0.003, 40), 3)
    same = np.round(base + generator.choice([-0.001, 0.0, 0.001], 40), 3)
    rounds: dict[str, dict[int, float | None]] = {
        "net2": dict(enumerate(base[:20].tolist())),
        "net1": {**dict(enumerate(better[:20].tolist())), 4: None, 3: 0.55},
        "net3": dict(enumerate(same.tolist())),
        "net4": dict(enumerate((base + generator.choice([-0.03, 0.03], 40))[:13].tolist())),
    }
    configurations = {name: configuration(model__name=name) for name in NETWORKS}
    for place, name in enumerate(NETWORKS):
        write_run(tmp_path / name, rounds[name], configurations[name], started=f"2026-01-01T00:00:0{9 - place}+00:00")
    plan_file.write(plan_of(configurations), tmp_path)
    return tmp_path


def plan_of(configurations: dict[str, dict[str, object]]) -> Plan:
    """The plan of these runs."""
    return make_plan({configuration_hash(values): name for name, values in configurations.items()}, 0, AUTO)


def test_verdicts(sweep: Path) -> None:
    """By the looks that were taken, with the failed or untrained among the rounds that they saw; the plan's baseline is the report's."""
    results = study([sweep])
    assert results.baseline == "net2"
    table = results.verdicts.set_index("label")
    assert list(table.index) == ["net1", "net3", "net4"]
    assert table["verdict"].to_dict() == {"net1": "better", "net3": "equivalent", "net4": "open"}
    assert table["rounds"].to_dict() == {"net1": 20, "net3": 10, "net4": 10}
    assert table["lost"].to_dict() == {"net1": 2, "net3": 1, "net4": 0}
    assert (table["baseline_lost"] == 1).all()
    assert (table["baseline"] == "net2").all()
    assert table.loc["net1", "low"] > 0
    assert table["level"].iloc[0] == pytest.approx(1 - plan_file.read(sweep / plan_file.FILE).nominal)
    assert any("rounds=auto decided from the results how many rounds there are" in line for line in results.warnings)


def test_files_page_and_terminal(sweep: Path) -> None:
    """Numbers in the CSV, a table with the method in Markdown and on the page, what fits in the terminal."""
    report = make_report([sweep])
    table = pd.read_csv(sweep / "summary" / "verdicts.csv").set_index("configuration")
    assert table.loc["net3", "verdict"] == "equivalent"
    assert table.loc["net1", "failed_or_untrained"] == 2
    assert table.loc["net1", "interval_low_points"] == pytest.approx(100 * report.study.verdicts["low"].iloc[0])
    markdown = (sweep / "summary" / "verdicts.md").read_text()
    assert "| net1 | better | 20 | " in markdown
    assert "| 2/20 | 1/20 |" in markdown
    assert "repeated confidence intervals" in markdown
    page = report.path.read_text()
    assert "Verdicts of rounds=auto" in page
    assert "Pocock" in page
    console = Console(width=80, record=True, file=StringIO())
    print_report(report, console)
    assert "equivalent" in console.export_text()


def test_against_what(sweep: Path) -> None:
    """The baseline of the verdicts is named wherever they are, whatever baseline the report has."""
    report = make_report([sweep], "net3")
    said = "Verdicts of rounds=auto, against net2"
    assert (sweep / "summary" / "verdicts.md").read_text().startswith(said)
    assert f"<h2>{said}</h2>" in report.path.read_text()
    console = Console(width=80, record=True, file=StringIO())
    print_report(report, console)
    assert said in console.export_text()


def test_against_several(sweep: Path, tmp_path: Path) -> None:
    """Two comparisons in one report have a baseline each, which every row names."""
    (other := tmp_path.parent / f"{tmp_path.name}-other").mkdir()
    configurations = {name: configuration(model__name=name, epochs=5) for name in ("net1", "net2")}
    for name, values in configurations.items():
        write_run(other / name, dict.fromkeys(range(20), 0.9 if name == "net1" else 0.8), values)
    plan_file.write(plan_of(configurations), other)
    verdicts = study([sweep, other]).verdicts
    assert len(set(verdicts["baseline"])) == 2
    assert verdict_heading(verdicts).endswith(" and ".join(dict.fromkeys(verdicts["baseline"])))
    assert show(verdicts, verdict_columns(verdicts))["against"].tolist() == verdicts["baseline"].tolist()


def test_verdicts_go_where_the_rounds_go(sweep: Path, tmp_path: Path) -> None:
    """Reported from the folder above, run by run, or as published: the verdicts and the caution are the same."""
    own = study([sweep], snapshot=(snapshot := Snapshot()))
    target = tmp_path.parent / f"{tmp_path.name}-published"
    publish(own, snapshot, [sweep], target)
    (above := tmp_path.parent / f"{tmp_path.name}-above").mkdir()
    shutil.copytree(sweep, above / "sweep")
    for folders in ([target], [above], [sweep / name for name in NETWORKS]):
        found = study(folders)
        assert found.verdicts["verdict"].tolist() == own.verdicts["verdict"].tolist()
        assert CAUTION in found.warnings


def test_another_metric_has_no_verdicts(sweep: Path) -> None:
    """They are about the test accuracy."""
    results = study([sweep], metric=METRICS["seconds"])
    assert results.verdicts.empty
    assert results.baseline == "net2"


def test_without_a_plan(sweep: Path) -> None:
    """Nothing is said, and a file of an earlier report stays what it was."""
    (sweep / plan_file.FILE).unlink()
    report = make_report([sweep])
    assert report.study.verdicts.empty
    assert not (sweep / "summary" / "verdicts.csv").exists()
    assert "Verdicts of rounds=auto" not in report.path.read_text()


def test_a_damaged_plan_is_told_of(sweep: Path) -> None:
    """The report is written without verdicts."""
    (sweep / plan_file.FILE).write_text(json.dumps({"runs": 3}))
    results = study([sweep])
    assert results.verdicts.empty
    assert any("holds no plan of rounds=auto" in line and "verdicts are left out" in line for line in results.warnings)


def test_one_that_was_not_begun(sweep: Path) -> None:
    """A configuration of the plan without a run is open, under the name that it will have."""
    configurations = {name: configuration(model__name=name) for name in [*NETWORKS, "wsn"]}
    (sweep / plan_file.FILE).unlink()
    plan_file.write(plan_of(configurations), sweep)
    last = study([sweep]).verdicts.iloc[-1]
    assert (last["label"], last["verdict"], last["rounds"], last["lost"]) == ("wsn", "open", 0, 0)
    assert np.isnan(last["value"])


def test_a_single_run(tmp_path: Path) -> None:
    """Its median, with no baseline beside it."""
    values = configuration(model__name="net4")
    write_run(tmp_path, dict(enumerate(np.round(np.random.default_rng(0).normal(0.9, 0.001, 20), 3).tolist())), values)
    plan_file.write(make_plan({configuration_hash(values): "net4"}, 0, AUTO), tmp_path)
    make_report([tmp_path])
    table = pd.read_csv(tmp_path / "summary" / "verdicts.csv")
    assert table["verdict"].tolist() == ["narrow"]
    assert table["median_percent"].iloc[0] == pytest.approx(90, abs=0.2)
    markdown = (tmp_path / "summary" / "verdicts.md").read_text()
    assert "the baseline's" not in markdown
    assert markdown.startswith("Verdicts of rounds=auto:")
