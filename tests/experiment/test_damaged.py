"""Files that somebody has damaged, or written by hand: each is read as it was, or told in one line; none keeps anybody busy."""

import json
import random
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

import digitcmp
from digitcmp.config.composed import from_record
from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.records import to_record
from digitcmp.experiment.store import network_path, read_run_records
from digitcmp.experiment.views import write_views
from digitcmp.report.frames import read_sweep
from digitcmp.report.study import study
from digitcmp.train.results import RoundResult
from tests.conftest import choices, compose_config
from tests.experiment.made import EPOCH, ROUND, train_run
from tests.nasty import NASTY, at_most_refused
from tests.report.made import write_run

many = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
TINY = [
    "model=splitnet",
    "aux_weight=1",
    "epochs=1",
    "batch_size=20",
    "data.train_pairs=20",
    "data.test_pairs=10",
    "engine=serial",
    "save_model=true",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*NASTY[:30], 10**30, -1, 1e308, "9" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.c", "name", *NASTY[:8]]), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one round whose network was kept; tests put back what they change."""
    directory = tmp_path_factory.mktemp("kept") / "run"
    train_run(compose_config(*TINY), directory)
    return directory


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and its numbers."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: Any, numbers: bytes) -> bytes:
    """A safetensors file with this header."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def mutants(content: bytes) -> list[bytes]:
    """Truncations, flipped bits, headers with other kinds, shapes, offsets and names, tensors that are missing or too many."""
    draw = random.Random(0)
    header, numbers = header_of(content)
    ends = [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]
    made = [content[:end] for end in ends] + [content + b"\x00", b"\x00" * 100, b"\xff" * 100, b"{}" * 50]
    for _ in range(120):
        at = draw.randrange(len(content)) if draw.random() < 0.5 else draw.randrange(8 + len(json.dumps(header)))
        made.append(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        changes = [{"dtype": "F16"}, {"dtype": "I32"}, {"dtype": "X9"}, {"shape": [10**12]}, {"shape": []}, {"shape": [-1]}]
        changes += [{"data_offsets": [0, 10**15]}, {"data_offsets": [5, 1]}, {"shape": "x"}]
        made += [with_header({**header, name: {**entry, **change}}, numbers) for change in changes]
        made.append(with_header({other: part for other, part in header.items() if other != name}, numbers))
        made.append(with_header({("x" if other == name else other): part for other, part in header.items()}, numbers))
    made += [with_header(other, numbers) for other in ([], {}, None, "x", {"__metadata__": {"crc32": "0"}}, {"__metadata__": 5})]
    made.append(len(content).to_bytes(8, "little") + b"[" * len(content))
    return made


def test_damaged_networks(trained: Path) -> None:
    """Each mutant of a file is refused in one line, or is the network that was trained (a bit in the name of the checksum)."""
    path = network_path(trained, 0)
    content, before = path.read_bytes(), digitcmp.load_model(trained).state_dict()
    wrong, taken = mutants(content), 0
    assert len(wrong) > 200
    try:
        for mutant in wrong:
            path.write_bytes(mutant)
            with at_most_refused():
                after = digitcmp.load_model(trained).state_dict()
                assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
                taken += 1
    finally:
        path.write_bytes(content)
    assert taken < 10


def test_a_network_of_an_earlier_version_has_no_checksum(trained: Path) -> None:
    """And is loaded as it is; one with numbers that are not finite is not."""
    path = network_path(trained, 0)
    content = path.read_bytes()
    try:
        path.write_bytes(save(load(content)))
        assert digitcmp.load_model(trained).seed == 0
        state = load(content)
        state["input.std"] = torch.tensor(float("nan"))
        path.write_bytes(save(state))
        with pytest.raises(RunError, match="not all of its numbers are finite"):
            digitcmp.load_model(trained)
    finally:
        path.write_bytes(content)


def rewritten(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the configuration of a run, with the hash that belongs to it."""
    about = json.loads((directory / "run.json").read_text())
    change(about["configuration"])
    about["configuration_hash"] = configuration_hash(about["configuration"])
    (directory / "run.json").write_text(json.dumps(about))


HUGE: list[tuple[str, Any, str]] = [
    ("ensemble", 10**15, "ensemble=1000000000000000: a round takes about"),
    ("ensemble", 10**30, "number that is too large"),
    ("ensemble", 0, "ensemble=0: must be"),
    ("epochs", -1, "epochs=-1: must be"),
    ("model.dropout", 7.0, "model.dropout=7: must be"),
    ("model.tower", [{"channels": 10**9, "kernel": 3}], "of memory; there are"),
    ("model.tower", [], "cannot be read"),
    ("model.tower", [{"channels": 2, "kernel": None}], "model.tower.0..kernel=None: must be a whole number"),
    ("model.tower", [{"channels": 2, "padding": [[1], 2]}], "model.tower.0..padding=.*must be a whole number"),
    ("model.tower", [{"channels": 2}] * 2_000, "model.tower: a list of 2,000; at most 1,000 are read"),
    ("model.name", "a\nb", "model.name=a"),
    ("optimizer.algorithm", "exec", "optimizer.algorithm=exec: no installed package offers it"),
    ("scheduler", 5, "its configuration is none|Merge error"),
    ("data.train_pairs", 10**15, "of memory; there are"),
]


@pytest.mark.parametrize(("key", "value", "words"), HUGE, ids=range(len(HUGE)))
def test_a_configuration_from_a_file_is_checked_like_a_command_line(
    trained: Path, key: str, value: Any, words: str, tmp_path: Path
) -> None:
    """Schema, rules and sizes: nothing is built before."""
    shutil.copytree(trained, tmp_path / "run")

    def change(values: dict[str, Any]) -> None:
        group, _, name = key.rpartition(".")
        (values[group] if group else values)[name] = value

    rewritten(tmp_path / "run", change)
    with pytest.raises(RunError, match=words):
        digitcmp.load_model(tmp_path / "run")


@pytest.mark.parametrize("name", choices("experiment"))
def test_a_recorded_configuration_comes_back(name: str) -> None:
    """Every kind of optimiser, schedule and augmentation: as it was when it was composed."""
    config = compose_config(f"+experiment={name}")
    assert configuration(from_record(configuration(config))) == configuration(config)


@many
@given(VALUES, st.sampled_from(["epochs", "model", "data", "optimizer", "augment", "columns", "ensemble", "model.tower", "new"]))
def test_any_recorded_configuration(value: Any, key: str) -> None:
    """A configuration, or one line."""
    values = json.loads(json.dumps(BASE))
    group, _, name = key.rpartition(".")
    (values[group] if group else values)[name] = value
    with at_most_refused():
        from_record(values)


BASE = configuration(compose_config("model=wsn", "optimizer=sgd"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A made-up run, and what its run.json says."""
    directory = write_run(tmp_path_factory.mktemp("any"), {5: 0.8, 6: 0.9})
    return directory, read_about(directory)


ABOUT_KEYS = ["", "seeds", "configuration", "parameters", "status", "started", "git_dirty", "command", "resumed", "slurm", "engine"]


@many
@given(VALUES, st.sampled_from(ABOUT_KEYS))
def test_any_run_json(reported: tuple[Path, dict[str, Any]], value: Any, key: str) -> None:
    """Whatever stands in it: a report of its folder, or one line; also where the hash fits."""
    directory, sound = reported
    about = {**sound, key: value} if key else value
    if key == "configuration":
        with suppress(ValueError):
            about["configuration_hash"] = configuration_hash(value)
    (directory / "run.json").write_bytes(json.dumps(about).encode())
    with at_most_refused():
        study([directory])


BYTES = [b"\xff\xfe{}", b"{}", b"[]", b"null", b"5", b'"x"', b"", b"[" * 100_000, b'{"a":' * 50_000, b"\x00", b"NaN"]


@pytest.mark.parametrize("content", BYTES, ids=range(len(BYTES)))
def test_run_json_that_is_none(tmp_path: Path, content: bytes) -> None:
    """One line from whoever reads it."""
    (tmp_path / "run.json").write_bytes(content)
    for read in (read_about, read_run_records, digitcmp.load_model, digitcmp.load_rounds):
        with pytest.raises(RunError, match="holds no") as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)


RECORD_KEYS = ["seed", "status", "epochs", "seconds", "test_accuracy", "error", "best_epoch", "new", "part:epochs", "part:distances"]


@many
@given(VALUES, st.sampled_from(RECORD_KEYS))
def test_any_record(reported: tuple[Path, dict[str, Any]], value: Any, key: str) -> None:
    """A line whose checksum is right, whatever it says: the other rounds are reported, and the views are written."""
    directory, about = reported
    (directory / "run.json").write_text(json.dumps(about))
    _, line = to_record(RoundResult(ROUND, [EPOCH]), about["configuration_hash"], "2026-01-01T00:00:00+00:00", "z.jsonl")
    parts = json.loads(line)
    del parts["check"]
    if key.startswith("part:"):
        parts[key[5:]] = value if isinstance(value, dict) else {**parts[key[5:]], "epoch": value}
    else:
        parts["round"][key] = value
    rest = json.dumps(parts, separators=(",", ":"))[1:].encode()
    (directory / "records" / "z.jsonl").write_bytes(b'{"check":"%08x%08x",%s\n' % (zlib.crc32(rest), len(rest), rest))
    try:
        sweep = read_sweep([directory])
        write_views(directory, list(read_run_records(directory).rounds.values()))
    finally:
        (directory / "records" / "z.jsonl").unlink()
    assert {5, 6} <= set(sweep.rounds["seed"])
    assert sweep.epochs["seed"].isin([5, 6]).sum() == 6


def test_numbers_beyond_every_table_are_refused() -> None:
    """Also as a configuration key."""
    with pytest.raises(ConfigError, match="seed="):
        from_record({**BASE, "seed": 2**200})
