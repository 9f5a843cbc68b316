"""Records of a processor with fewer instructions come out to the last digit on one with more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from digitcmp.experiment import instructions
from digitcmp.experiment.instructions import LIMITS, VARIABLES, has, limit, used

AVX512, AVX2 = "processor : 0\nflags : fpu avx2 avx512f avx512vl\n", "processor : 0\nflags : fpu avx2\nbugs : avx512f\n"


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is limited from outside."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("processor", "recorded", "known"),
    [
        (AVX512, ["AVX2", "AVX2"], "AVX2"),
        (AVX512, ["AVX512"], ""),
        (AVX512, ["AVX2", "AVX512"], ""),
        (AVX512, ["AVX2 (MKL_CBWR=COMPATIBLE)"], ""),
        (AVX512, [None], ""),
        (AVX512, [], ""),
        (AVX2, ["AVX2"], ""),
        (None, ["AVX2"], ""),
    ],
)
def test_when_a_process_is_limited(
    processor: str | None, recorded: list[object], known: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where all records agree on older instructions, and this processor has newer ones."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    if processor is not None:
        (tmp_path / "cpuinfo").write_text(processor)
    monkeypatch.setattr(instructions, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert limit(recorded) == known
    assert {name: os.environ[name] for name in VARIABLES if name in os.environ} == LIMITS.get(known, {})


def test_what_comes_too_late_or_second_is_not_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torch has read the variables when it was imported; what somebody has set, stays."""
    (tmp_path / "cpuinfo").write_text(AVX512)
    monkeypatch.setattr(instructions, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setitem(sys.modules, "torch", pytest)
    assert limit(["AVX2"]) == ""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert limit(["AVX2"]) == ""
    assert not any(name in os.environ for name in LIMITS["AVX2"])


def test_what_limits_some_libraries_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of such rounds is none of a processor that has no more."""
    assert used("AVX512") == "AVX512"
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert used("AVX2") == "AVX2 (ATEN_CPU_CAPABILITY=avx2)"
    for name, value in LIMITS["AVX2"].items():
        monkeypatch.setenv(name, value)
    assert used("AVX2") == "AVX2"
    monkeypatch.setenv("MKL_CBWR", "SSE4_2")
    assert used("AVX2").endswith(", MKL_CBWR=SSE4_2)")


@pytest.mark.skipif(not has("avx2"), reason="needs a processor with AVX2")
def test_rounds_of_an_older_processor_are_reproduced(tmp_path: Path) -> None:
    """To the last digit, on the platform of the record, whatever this processor has."""
    environment = {**os.environ, "PYTHONPATH": str(Path(instructions.__file__).parents[2])}
    train = ["digitcmp", "data=digits", "model=net4", "rounds=2", "epochs=2", "engine=serial", f"hydra.run.dir={tmp_path}/older"]
    subprocess.run([sys.executable, "-m", *train], cwd=tmp_path, env={**environment, **LIMITS["AVX2"]}, check=True, capture_output=True)
    assert json.loads((tmp_path / "older" / "run.json").read_text())["platform"]["cpu_capability"] == "AVX2"
    verify = [sys.executable, "-m", "digitcmp.verify", "older"]
    told = subprocess.run(verify, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert (told.returncode, "reproduced" in told.stdout) == (0, True), told
    assert "need not be equal" not in told.stdout
    assert ("computing with AVX2 alone" in told.stdout) == has("avx512f")
