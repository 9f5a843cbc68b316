"""Bad input that the configuration alone gives away: one clear line each, nothing on disk, and torch is not even looked for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from digitcmp import inert
from digitcmp.errors import ConfigError
from digitcmp.names import check_folder, check_name
from tests.conftest import ROOT
from tests.nasty import NASTY, at_most_refused

RUN = r"""
import contextlib, io, json, os, sys, time
from digitcmp.entry import hush
hush()
sys.modules["torch"] = None  # whoever imports it fails
from hydra.core.global_hydra import GlobalHydra
from digitcmp import cli
ended = {}
for name, arguments in json.load(open(sys.argv[1])).items():
    sys.argv, out, err, code = ["digitcmp", *arguments], io.StringIO(), io.StringIO(), 0
    os.environ.pop("HYDRA_FULL_ERROR", None)
    start = time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
    GlobalHydra.instance().clear()
    ended[name] = [code, out.getvalue(), err.getvalue(), time.perf_counter() - start]
json.dump(ended, sys.__stdout__)
"""
SEARCH = ["--multirun", "hydra/sweeper=digitcmp_optuna", "data.val_pairs=200", "hydra.sweep.dir=out"]
LR = "optimizer.lr=tag(log,interval(0.001,0.1))"
LARGE = 10**9


def named(text: str) -> list[str]:
    """A network with this name."""
    return [f'model.name="{text}"']


SIZES: dict[str, tuple[list[str], str]] = {
    "rounds": ([f"rounds={LARGE}"], "rounds=1000000000: must be a whole number, at least 1, at most 1,000,000"),
    "rounds between looks": (
        ["rounds=auto", f"auto.batch={LARGE}", f"auto.max={LARGE}"],
        "auto.batch=1000000000: must be a whole number, at least 1, at most 1,000,000",
    ),
    "many rounds": ([f"rounds={10**15}"], "rounds=1000000000000000: must be a whole number"),
    "seed of 65 bits": ([f"seed={2**64}"], "seed=18446744073709551616: must be a whole number, at least 0, at most 9,007,199,254,740,992"),
    "seed of 201 bits": ([f"seed={2**200}"], "must be a whole number, at least 0"),
    "number of 5000 digits": (["epochs=" + "9" * 5000], "epochs: a number of 5000 digits; at most 1000 are read"),
    "number of 5000 digits in a sweep": (["-m", "seed=1," + "9" * 5000], "seed: a number of 5000 digits; at most 1000 are read"),
    "100 brackets": (["model.tower=" + "[" * 100 + "]" * 100], "model.tower: 100 brackets within each other; at most 20 are read"),
    "2000 braces": (["++x=" + "{a:" * 2000 + "1" + "}" * 2000], "++x: 2000 brackets within each other; at most 20 are read"),
    "2000 parentheses": (["x=" + "sort(" * 2000 + ")" * 2000], "x: 2000 brackets within each other; at most 20 are read"),
    "3000 layers": (["model.tower=[" + ",".join(["{channels: 1}"] * 3000) + "]"], "model.tower: a list of 3,000; at most 1,000 are read"),
    "10000 columns": (["columns=[" + ",".join(["plain"] * 10_000) + "]"], "columns: a list of 10,000; at most 1,000 are read"),
    "choice of 5000 characters": (["optimizer=" + "x" * 5000], "there is no such choice: no file has a name of 5000 characters"),
    "experiment of 5000 characters": (["+experiment=" + "x" * 5000], "no such choice: no file has a name of 5000 characters"),
    "file of 300 characters": (["--config-name", "x" * 300], "xxx.yaml: File name too long"),
    "seed of 400 digits": (["seed=" + "9" * 400], "must be a whole number, at least 0"),
    "seed of 5,000 digits": (["seed=" + "9" * 5_000], "digits"),
    "epochs": ([f"epochs={LARGE}"], "epochs=1000000000: a round takes about 1.01 TB of memory; there are "),
    "ensemble": (["ensemble=1000000"], "ensemble=1000000: a round takes about"),
    "training pairs": ([f"data.train_pairs={LARGE}"], "data.train_pairs=1000000000: a round takes about 6.37 TB of memory; there are"),
    "test pairs": ([f"data.test_pairs={LARGE}"], "data.test_pairs=1000000000: a round takes about"),
    "batch": ([f"batch_size={LARGE}"], "batch_size=1000000000: there are 1000 training pairs"),
    "channels": (["model.tower=[{channels:1000000},{channels:1000000}]"], "a round takes about"),
    "kernel": (["model.tower=[{channels:16,kernel:1000000,padding:600000}]"], "a round takes about"),
    "padding": (["model.tower=[{channels:16,kernel:3,padding:1000000}]"], "a round takes about"),
    "pooling": (["model.tower=[{channels:16,kernel:3,pool:1000000}]"], "nothing is left of the image"),
    "units": ([f"model.digit_dense=[{{units:{LARGE}}},{{units:{LARGE}}}]"], "a round takes about"),
    "joint units": ([f"model.joint_dense=[{{units:{10**30}}}]"], "must be a whole number, at least 1, at most"),
    "stack": (["engine=stacked", "rounds=1000000", "stack_size=1000000"], "rounds side by side take about"),
    "jobs": (
        ["--multirun", f"seed=range({LARGE})"],
        "seed=range(1000000000): this makes 1,000,000,000 jobs, and a sweep has at most",
    ),
    "jobs of two": (["--multirun", "seed=range(1000)", "epochs=range(1,1001)"], "this makes 1,000,000 jobs"),
    "shuffled jobs": (["--multirun", f"seed=shuffle(range({LARGE}))"], "this makes 1,000,000,000 jobs"),
    "fractions": (["--multirun", "optimizer.lr=range(0.1,1,0.000000001)"], "jobs, and a sweep has at most"),
    "confirmed rounds": ([*SEARCH, LR, f"hydra.sweeper.confirm={LARGE}"], "hydra.sweeper.confirm=1000000000: must be a whole number"),
    "lease": ([*SEARCH, LR, "hydra.sweeper.lease=1e300"], "hydra.sweeper.lease=1e+300: must be a finite number, above 0, at most 86,400"),
    "sampler's seed": ([*SEARCH, LR, f"hydra.sweeper.seed={2**40}"], "hydra.sweeper.seed=1099511627776: must be"),
    "candidates": ([*SEARCH, LR, f"hydra.sweeper.samplers.tpe.n_ei_candidates={LARGE}"], "n_ei_candidates=1000000000: must be"),
}
NAMES: dict[str, tuple[list[str], str]] = {
    "newline": (named("a\\nb".replace("\\n", "\n")), r"it has a '\n'"),
    "escape": (named("a\x1b[31m"), r"it has a '\x1b'"),
    "bell": (named("a\x07"), r"it has a '\x07'"),
    "right to left": (named("a\u202eb"), r"it has a '\u202e'"),
    "mathematics": (named("a$x_$"), "model.name=a$x_$: it has a '$'"),
    "markup": (named("<script>"), "it has a '<'"),
    "formula": (named("=1+1"), "model.name==1+1: it begins with '='"),
    "sum": (named("@SUM(A1)"), "it begins with '@'"),
    "option": (named("-rf"), "it begins with '-'"),
    "hidden": (named(".git"), "it begins with '.'"),
    "blank": (named(" a "), "it begins or ends with a blank"),
    "empty": (named(""), "model.name=: it is empty; a name has at most 100 characters"),
    "long": (named("a" * 10_000), "it has 10,000 characters; a name has at most 100 characters"),
    "slash": (named("a/b"), "it has a '/'"),
    "job": (["hydra.job.name='a/b'"], "hydra.job.name=a/b: it has a '/'"),
    "sweep's job": (["--multirun", "hydra.job.name='../x'", "seed=1,2"], "hydra.job.name=../x: it has a '/'"),
    "folder with a newline": (["hydra.run.dir='a\nb'"], r"hydra.run.dir=a\nb: it has a '\n', which nobody can see"),
    "folder with an escape": (["hydra.run.dir='a\x1bb'"], r"it has a '\x1b', which nobody can see"),
    "long folder": (
        ["hydra.run.dir=" + "a" * 10_000],
        "10,000 characters, 10,000 bytes of them in one name; choose",
    ),
    "deep folder": (["hydra.run.dir=" + "a/" * 5_000], "it has 10,000 characters, 1 bytes of them"),
    "sweep's folder": (["--multirun", "hydra.sweep.dir='a\tb'", "seed=1,2"], r"hydra.sweep.dir=a\tb: it has a '\t'"),
    "data folder": (["data.root='a\nb'"], r"data.root=a\nb: it has a '\n'"),
    "study": (
        [*SEARCH, LR, "hydra.sweeper.study_name='a\nhydra: {run: {dir: x}}'"],
        r"study_name=a\nhydra: {run: {dir: x}}: it has a",
    ),
    "long study": ([*SEARCH, LR, "hydra.sweeper.study_name=" + "a" * 101], "it has 101 characters"),
}
ARRAY = ["--multirun", "hydra/launcher=slurm", "seed=0,1"]
URL = "postgresql://me:s3cr3t@127.0.0.1:1/x"
STORAGES: dict[str, tuple[list[str], str]] = {
    "another database": ([*SEARCH, LR, "hydra.sweeper.storage=redis://h/x"], "storage=redis://h/x: use sqlite:///FILE, journal:///FILE or"),
    "mistyped": ([*SEARCH, LR, "hydra.sweeper.storage=postgresql:/me:s3cr3t@h/x"], "storage=(not shown, as it may hold a password"),
    "an @ too many": ([*SEARCH, LR, "hydra.sweeper.storage=postgresql://me:a@s3cr3t@h/x"], "there, @ is written %40"),
    "no port": ([*SEARCH, LR, "hydra.sweeper.storage=postgresql://me@h:port/x"], "storage=postgresql://me@h:port/x: use"),
    "mistyped key": ([*SEARCH, LR, f"hydra.sweeper.storge={URL}"], "storge"),
    "no variable": ([*SEARCH, LR, "hydra.sweeper.storage=${oc.env:NOWHERE}"], "NOWHERE"),
}
SPACES: dict[str, tuple[list[str], str]] = {
    "no log of a choice": ([*SEARCH, "model=tag(log,choice(net1,net2))"], "log is for numbers"),
    "no log of steps": ([*SEARCH, "epochs=tag(log,range(1,9,2))"], "a logarithmic range has whole numbers and no step"),
    "unknown tag": ([*SEARCH, "optimizer.lr=tag(lg,interval(1,2))"], "tag(lg,…) means nothing"),
    "infinite interval": ([*SEARCH, "optimizer.lr=interval(0.1,1e400)"], "its numbers must be finite"),
    "endless range": ([*SEARCH, "epochs=range(1,1e400)"], "cannot be searched"),
    "listed range": ([*SEARCH, "seed=1", f"epochs=float(range({LARGE}))"], "at most 10,000 can be listed"),
    "nan": ([*SEARCH, "aux_weight=choice(nan,1)"], "nan is no choice"),
    "null in a call": (["--multirun", "stopping.patience=choice(null,3)"], "choice() takes no null; write stopping.patience=null,3"),
    "null in a sorted list": (
        ["--multirun", "stopping.patience=sort(3,null,reverse=true)"],
        "sort() takes no null; write stopping.patience=3,",
    ),
    "null as an end": (["--multirun", "aux_weight=range(null,3)"], "aux_weight=range(null,3): range() takes no null"),
    "empty range": ([*SEARCH, "epochs=range(5,1)"], "cannot be searched"),
    "nothing": ([*SEARCH, "epochs=3"], "there is nothing to search"),
    "unreadable": ([*SEARCH, "epochs=interval(1"], "epochs=interval(1"),
}
ALONE: dict[str, tuple[list[str], str]] = {
    "two screens": (["--help-keys", "--help-sweeps"], "--help-keys --help-sweeps: these are screens of their own; ask for one"),
    "two commands": (["--multirun", "--info", "all", "seed=1,2"], "Only one of --run, --multirun, --cfg, --info and --shell_completion"),
    "null": (["engine=null"], "engine=null: must have a value"),
    "a list": (["engine=[serial,processes]"], "engine: must be one value; for a run of each: --multirun engine=A,B"),
    "two folders": (
        ["--config-dir", "a", "--config-dir=b", "dry_run=true"],
        "--config-dir: this is given 2 times, and only one counts; another folder of YAML files is added with hydra.searchpath=[FOLDER]",
    ),
    "two configurations": (["-cn", "config", "--config-name", "other"], "--config-name: this is given 2 times, and only one counts"),
    "no checks": (["~hydra.callbacks.digitcmp", "dry_run=true"], "~hydra.callbacks.digitcmp: the program's own callback checks what is"),
    "no callbacks": (["hydra.callbacks={}"], "hydra.callbacks={}: the program's own callback checks what is asked for; leave it"),
    "batches of none": (
        ["--multirun", "seed=0,1", "hydra.sweeper.max_batch_size=0"],
        "max_batch_size=0: must be a whole number, at least 1",
    ),
    "no key": (["=3"], "=3: "),
    "no folder": (["hydra.searchpath=[/proc/nowhere]"], "hydra.searchpath: there is no folder /proc/nowhere"),
    "itself": (["seed=${seed}"], "Recursive interpolation detected"),
    "no cluster": (["ray.cpus=2"], "ray.cpus=2: this is for engine=ray; add it, or leave this out"),
    "no cluster for a sweep": (["--multirun", "engine=serial,processes", "ray.gpus=1"], "ray.gpus=1: this is for engine=ray"),
    "as many as are given": (["rounds=3", "auto.max=40"], "auto.max=40: this is for rounds=auto; add it, or leave this out"),
    "no array": (["slurm.tasks=3"], "slurm.tasks=3: this is for hydra/launcher=slurm"),
    "a huge array": ([*ARRAY, f"slurm.tasks={2**40}"], "slurm.tasks=1099511627776: must be a whole number, at least 1, at most 10,000"),
    "no time": ([*ARRAY, "slurm.time='-5'"], "slurm.time=-5: this is no time limit of at most 3,650 days; give 5 minutes or more"),
    "time of a shell": ([*ARRAY, "slurm.time='$(id)'"], "slurm.time=$(id): this is no time limit"),
    "time of ages": ([*ARRAY, "slurm.time=99999999999999-99:99"], "slurm.time=99999999999999-99:99: this is no time limit"),
    "a short time": ([*ARRAY, "slurm.time=0"], "slurm.time=0: a task is told to end up to two minutes before that"),
    "another array": ([*ARRAY, 'slurm.options=["--array=0-5"]'], "slurm.options=[--array=0-5]: use slurm.tasks instead"),
    "another wait": ([*ARRAY, "slurm.options=[-W]"], "slurm.options=[-W]: use slurm.wait=true instead"),
    "a directive more": ([*ARRAY, "slurm.partition='a\n#SBATCH --account=b'"], r"slurm.partition=a\n#SBATCH --account=b: it has a '\n'"),
}
BAD = {**SIZES, **NAMES, **STORAGES, **SPACES, **ALONE}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """How each of the commands ended, in one process without torch; and the folder that they ran in."""
    top = tmp_path_factory.mktemp("bad")
    (top / "commands.json").write_text(json.dumps({name: arguments for name, (arguments, _) in BAD.items()}))
    (top / "here").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, str(top / "commands.json")]
    done = subprocess.run(command, cwd=top / "here", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), top / "here"


@pytest.mark.parametrize("name", BAD)
def test_one_clear_line(ended: tuple[dict[str, Any], Path], name: str) -> None:
    """That says what is wrong, in characters that can be seen, and without a password."""
    code, out, err, _ = ended[0][name]
    assert (code, out) == (1, ""), err
    assert err.startswith("digitcmp: ")
    assert err.endswith("\n")
    line = err[:-1]
    assert line.isprintable()
    assert len(line) <= len("digitcmp: ") + inert.LINE
    assert BAD[name][1] in line
    assert "s3cr3t" not in line


def test_there_are_many_and_nothing_is_left(ended: tuple[dict[str, Any], Path]) -> None:
    """At least sixty; no folder, no database."""
    assert len(BAD) >= 60
    assert len(SIZES) + len(NAMES) + len(STORAGES) + len(SPACES) + len(ALONE) == len(BAD)
    assert list(ended[1].iterdir()) == []


def test_names_that_are_names() -> None:
    """Letters of any script, digits, blanks inside and some signs; and every nasty text is one or the other without a trace."""
    for name in ("net4", "net [bn]", "Größe 2", "漢字", "lr=0.1,momentum=0.9", "a+b:c@d%(e)", "_x", "9", "a" * 100):
        check_name("key", name)
        check_folder("key", f"/home/me/{name}/x")
    for text in NASTY:
        with at_most_refused():
            check_name("key", text)
        with at_most_refused():
            check_folder("key", text)
    with pytest.raises(ConfigError, match="it has 10,000 characters"):
        check_name("key", "a" * 10_000)
