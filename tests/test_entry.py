"""How every command begins and ends, wherever it is run: modules in the working folder, streams, Ctrl-C."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pyte
import pytest
from PIL import Image

from digitcmp.entry import plain, works
from digitcmp.experiment.store import network_path
from tests.conftest import ROOT
from tests.report.made import write_run

PYTHON = [sys.executable, "-m", "digitcmp"]
QUICK = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(folder: Path, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, and how it ended."""
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def shell(folder: Path, line: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A shell's line in a folder; "$@" in it is the command."""
    return run(folder, ["bash", "-c", line, "bash", *command])


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A folder with a run to report on."""
    write_run(tmp_path / "sweep" / "net2", {0: 0.5, 1: 0.5})
    return tmp_path


REPORT = [sys.executable, "-m", "digitcmp.report", "sweep"]


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii"}], ids=["locale", "streams"])
def test_a_terminal_that_knows_ascii_alone(sweep: Path, environment: dict[str, str]) -> None:
    """It gets other characters; files have the same as everywhere."""
    done = run(sweep, REPORT, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "50.00 +- 0.00" in done.stdout
    assert "50.00 ± 0.00" in (sweep / "sweep" / "summary" / "table.md").read_text(encoding="utf-8")


def test_every_character_has_another_form() -> None:
    """Readable where there is one; otherwise its number."""
    text = "5 ± 1 × 2 … ü \udcff"
    assert plain(UnicodeEncodeError("ascii", text, 0, len(text), "")) == ("5 +- 1 x 2 ... \\xfc \\udcff", len(text))


@pytest.mark.parametrize("name", ["random", "typing", "selectors", "torch", "yaml", "records"])
def test_a_file_of_the_working_folder_is_no_module(tmp_path: Path, name: str) -> None:
    """Whatever it is called."""
    (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for a module')")
    done = run(tmp_path, [*PYTHON, "aux_weight=-1"])
    assert "aux_weight=-1: must be" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["digitcmp", "digitcmp.report", "digitcmp.runs", "digitcmp.verify"])
def test_an_environment_that_is_not_active(tmp_path: Path, module: str) -> None:
    """A Python without the libraries, as of a new terminal: one line, whatever the command."""
    ended = run(tmp_path, [sys.executable, "-S", "-m", module, "--help"], PYTHONPATH=str(ROOT))
    assert ended.returncode == 1
    assert ended.stderr.strip().startswith(f"digitcmp: hydra is not installed for {sys.executable}; activate the environment")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ['"$@" >&-', '"$@" 2>&-', '"$@" <&- >&- 2>&-'])
def test_closed_streams(tmp_path: Path, line: str) -> None:
    """Nothing is written where nobody listens, nor into a file that happens to have a stream's number."""
    done = shell(tmp_path, line, *PYTHON, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_standard_output(tmp_path: Path) -> None:
    """Exit code 1 and one line."""
    done = shell(tmp_path, '"$@" >/dev/full', *PYTHON, "--help")
    assert done.returncode == 1
    assert done.stderr.startswith("digitcmp: cannot write to standard output: No space left on device")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """Quietly."""
    done = shell(tmp_path, '"$@" | :; exit ${PIPESTATUS[0]}', *PYTHON, "--help")
    assert (done.returncode, done.stderr) == (141, "")


def test_too_little_memory_for_a_library(tmp_path: Path) -> None:
    """One line."""
    done = shell(tmp_path, 'ulimit -v 1000000; exec "$@"', *PYTHON, *QUICK)
    assert done.returncode == 1
    assert "too little memory for it (ulimit -v)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_files_that_may_have_no_bytes(tmp_path: Path) -> None:
    """The one that was being written is named, though the system does not."""
    done = shell(tmp_path, 'ulimit -f 0; exec "$@" | cat', *PYTHON, *QUICK, "hydra.run.dir=here")
    told = f"cannot write or read {tmp_path}/here/.hydra/config.yaml: File too large; choose another folder"
    assert told in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("kilobytes", "told"), [(28_000, "29 MB"), (100_000, "102 MB"), (140_000, "143 MB"), (250_000, "256 MB"), (600_000, "614 MB")]
)
@pytest.mark.parametrize("command", ["report", "runs diff", "draw"])
def test_too_little_memory_for_any_command(command: str, kilobytes: int, told: str, sweep: Path) -> None:
    """One line, and the same one: before NumPy is there, with which libraries abort or try for ever, and before anything else is."""
    name, *words = command.split()
    given = {"draw": ["model=net2"], "runs": [*words, ".", "."]}.get(name, ["."])
    done = shell(sweep, f'ulimit -v {kilobytes}; exec timeout 60 "$@"', sys.executable, "-m", f"digitcmp.{name}", *given)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert f"{told} of memory are too few for NumPy" in done.stderr


def test_too_little_memory_for_torch(tmp_path: Path) -> None:
    """Where it is what a command begins with."""
    begin = "from digitcmp.entry import command; command('torch', 'torch')"
    done = shell(tmp_path, 'ulimit -v 1000000; exec "$@"', sys.executable, "-c", begin)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.endswith("there is too little memory for it (ulimit -v); allow more\n")


def test_a_narrow_and_a_dumb_terminal(sweep: Path) -> None:
    """Twenty columns: fewer of the table, and a line that says so. No home either, so that matplotlib has no folder for its cache; and
    the shell of somebody who has chosen a backend that is not there."""
    done = run(sweep, REPORT, TERM="dumb", COLUMNS="20", HOME="/proc/nowhere", TMPDIR=str(sweep), MPLBACKEND="nonsense")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no room here: " in done.stdout
    assert [path.name for path in sweep.iterdir()] == ["sweep"]


@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.5, 3.0])
@pytest.mark.parametrize("times", [1, 10])
def test_ctrl_c_during_a_start(tmp_path: Path, seconds: float, times: int) -> None:
    """While modules are imported, while workers are started, once and ten times: one line, exit code 130, nothing left behind."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    begin = "print('begun', flush=True); from digitcmp.__main__ import main; main()"
    command = [sys.executable, "-c", begin, "epochs=2000", "rounds=4", "engine=processes", "workers=2", "hydra.run.dir=run"]
    env = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
        time.sleep(0.01)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line.split(";")[0] for line in err.splitlines() if line] == ["digitcmp: interrupted"]
    assert is_gone(process.pid)
    assert not list(temporary.iterdir())
    assert not list(tmp_path.rglob(".*.tmp"))


def is_gone(group: int, seconds: float = 5) -> bool:
    """Whether no process of a group is there any more, at the latest in so many seconds: of those whose parent has ended, the system hears
    a little later."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_during_a_report(sweep: Path) -> None:
    """Ten times: one line, exit code 130, what was written before stays, and no half of a file."""
    begin = "print('begun', flush=True); from digitcmp.report.__main__ import main; main()"
    command = [sys.executable, "-c", begin, "sweep"]
    with subprocess.Popen(command, cwd=sweep, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end = time.monotonic() + 60
        while not (sweep / "sweep" / "summary" / "table.md").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        for _ in range(10):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\ndigitcmp: interrupted; no run was touched\n")
    assert not list(sweep.rglob(".*.tmp"))


STUCK = """
import sys, time
from types import ModuleType
from digitcmp import entry
def stuck():
    while True:
        try:
            print("begun", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
entry.GRACE = 0.5
sys.modules["stuck"] = ModuleType("stuck")
sys.modules["stuck"].main = stuck
entry.command("stuck", "torch")
"""


def test_what_does_not_end_after_ctrl_c_is_ended(tmp_path: Path) -> None:
    """After its grace, with the exit code that Ctrl-C always has."""
    process = subprocess.Popen([sys.executable, "-c", STUCK], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "did not end by itself" in err


WAITING = """
import sys, time
from types import ModuleType
from digitcmp import entry
def wait():
    print("begun", flush=True)
    time.sleep(60)
sys.modules["waiting"] = ModuleType("waiting")
sys.modules["waiting"].main = wait
entry.command("waiting", "torch")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_what_a_scheduler_sends_ends_a_command_as_ctrl_c_does(tmp_path: Path, number: signal.Signals) -> None:
    """One line, and the exit code that tells which signal it was; also of what does not end by itself."""
    for code, told in (
        (WAITING, "finished rounds are kept"),
        (STUCK, "it did not end by itself within 0 seconds; finished rounds are kept"),
    ):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert err == f"\ndigitcmp: interrupted ({number.name}); {told}\n"


def test_what_nohup_has_a_command_ignore_it_ignores(tmp_path: Path) -> None:
    """The end of its terminal."""
    line = 'trap "" HUP; "$@" & read -t 30; kill -HUP $!; kill -TERM $!; wait $!'
    done = shell(tmp_path, f"mkfifo begun; exec 3<>begun; ({line}) <&3 >begun", sys.executable, "-c", WAITING)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "\ndigitcmp: interrupted (SIGTERM); finished rounds are kept\n")


def test_an_interrupt_that_python_ignores_comes_again(tmp_path: Path) -> None:
    """In `__del__` no error can be raised: that of Ctrl-C must end the command all the same."""
    (tmp_path / "silent.py").write_text(
        "import os, signal, time\n"
        "class Deaf:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(0.1)\n"
        "def main():\n"
        "    Deaf()\n"
        "    end = time.monotonic() + 3\n"
        "    while time.monotonic() < end: pass\n"
        "    print('went on')\n"
    )
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]"
    code = f"{paths}; from digitcmp.entry import command; command('silent', 'torch')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "digitcmp: interrupted; finished rounds are kept"


def test_an_interrupt_while_a_library_runs_code_from_a_string(tmp_path: Path) -> None:
    """Python would end by SIGINT then, whatever was interrupted: here SIGTERM, whose exit code is 143."""
    interrupted = "exec('import os, signal; os.kill(os.getpid(), signal.SIGTERM)')"
    # what tells of it is there already: the import of a dataclass would take the flag back
    (tmp_path / "within.py").write_text(f"import digitcmp.inert, digitcmp.screen\ndef main():\n    {interrupted}\n")
    (tmp_path / "begins.py").write_text("from digitcmp.entry import command\ncommand('within', 'torch')\n")
    command = [sys.executable, "-m", "begins"]  # a module: the flag of a script is its own
    paths = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=paths)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "\ndigitcmp: interrupted (SIGTERM); finished rounds are kept\n")


SILENT = r"""
import sys
from types import ModuleType
from digitcmp import entry
def main():
    print("busy", file=sys.__stderr__ if sys.argv[1:] == ["stderr"] else sys.stdout) if sys.argv[1:] != ["nothing"] else None
    entry.notice.show("loading more …")
    print("more")
sys.modules["silent"] = ModuleType("silent")
sys.modules["silent"].main = main
entry.command("silent", "torch")
"""


class Seen:
    """What a command has written to a terminal, and what is left on its screen."""

    def __init__(self, folder: Path, command: list[str], columns: int = 80, **environment: str) -> None:
        screen = pyte.Screen(columns, 24)
        stream = pyte.ByteStream(screen)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **environment})
        self.written = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while part := os.read(terminal, 1 << 16):
                self.written += part
        os.close(terminal)
        self.code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stream.feed(self.written)
        self.lines = [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_a_terminal_is_told_at_once_what_takes_long(tmp_path: Path, where: str) -> None:
    """Before anything else is imported; it is gone when something else is printed, on whichever stream."""
    seen = Seen(tmp_path, [sys.executable, "-c", SILENT, where])
    assert seen.written.startswith("loading torch …\r\x1b[K".encode())
    assert "loading more …\r\x1b[K".encode() in seen.written
    assert (seen.code, seen.lines) == (0, ["busy", "more"])


def test_nothing_is_left_of_what_was_told(tmp_path: Path) -> None:
    """Where nothing else is printed either; where the program fails; where a terminal cannot take it back, it is not told."""
    for end, left in (("pass", []), ("raise SystemExit('refused')", ["refused"])):
        code = SILENT.replace('    print("more")\n', f"    {end}\n")
        assert Seen(tmp_path, [sys.executable, "-c", code, "nothing"]).lines == left
    for terminal in ("dumb", ""):
        assert Seen(tmp_path, [sys.executable, "-c", SILENT, "nothing"], TERM=terminal).written == b"more\r\n"
    done = run(tmp_path, [sys.executable, "-c", SILENT, "stdout"], TERM="xterm")
    assert (done.stdout, done.stderr) == ("busy\nmore\n", "")


def test_what_comes_at_once_is_not_announced() -> None:
    """Help, a version, a configuration, completion; also where an option is only begun."""
    for typed in (
        "--help",
        "-h",
        "--help-keys model=wsn",
        "--hel",
        "--cfg job",
        "-c job model=net1",
        "--info",
        "--version",
        "-sc query=bash",
        "--shell-comp",
    ):
        assert not works(typed.split()), typed
    for typed in (
        "",
        "model=wsn",
        "-m seed=1,2",
        "--multirun +sweeps=smoke",
        "--config-dir mine",
        "folder --curves --columns mean --out here",
    ):
        assert works(typed.split()), typed


def test_help_on_a_terminal_is_help_alone(tmp_path: Path) -> None:
    """Twenty columns, no colours, a dumb terminal: the text, and nothing beyond the edge."""
    for environment in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
        seen = Seen(tmp_path, [*PYTHON, "--help"], 20, **environment)
        assert seen.code == 0
        assert b"\x1b" not in seen.written
        assert max(map(len, seen.written.decode().splitlines())) <= 20


def test_ctrl_c_while_torch_is_imported() -> None:
    """Ends at once: what torch runs meanwhile cannot be interrupted, and may abort the program."""
    code = """
import importlib.machinery, os, signal, sys, time, types
from digitcmp.entry import interrupts
interrupts.begin()
torch = sys.modules["torch"] = types.ModuleType("torch")
torch.__spec__ = importlib.machinery.ModuleSpec("torch", None)
torch.__spec__._initializing = True
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=50)
    assert (ended.returncode, ended.stderr) == (130, "\ndigitcmp: interrupted; finished rounds are kept\n")


ASKED_IN_VAIN = """
import contextlib, importlib, io, sys
for module, *arguments in (
    ("predict", "none", "a.png", "b.png"),
    ("predict", "kept", "a.png", "kept"),
    ("predict", "kept", "picture.png", "picture.png", "--seed", "9"),
    ("demo", "kept", "none"),
    ("mistakes", "none"),
):
    sys.argv = [module, *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            importlib.import_module(f"digitcmp.{module}.cli").main()
        except SystemExit as end:
            assert end.code == 1
    print(said.getvalue(), end="")
print("torch" in sys.modules)
"""


def test_runs_and_pictures_that_are_none_are_told_before_torch_is_loaded(tmp_path: Path) -> None:
    """One line each."""
    write_run(tmp_path / "kept", {1: 0.8})
    network = network_path(tmp_path / "kept", 1)
    network.parent.mkdir(parents=True)
    network.touch()
    Image.new("L", (28, 28)).save(tmp_path / "picture.png")
    ended = run(tmp_path, [sys.executable, "-c", ASKED_IN_VAIN], PYTHONPATH=str(ROOT))
    assert ended.stderr == ""
    told = [
        "none holds no run",
        "a.png: it cannot be read",
        "seed=9: kept holds the network of seed 1",
        "none holds no run",
        "none holds no run",
    ]
    *lines, torch = ended.stdout.splitlines()
    assert [text in line for text, line in zip(told, lines, strict=True)] == [True] * 5, lines
    assert torch == "False"


STRANGER = str(60_000 + os.getpid() % 5000)  # a user without a process: root may have as many as it likes
AS_STRANGER = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
READS_ALL = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # also an environment below /root


@pytest.mark.parametrize("engine", [["engine=serial"], ["engine=processes", "workers=2"]], ids=["serial", "processes"])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 40])
def test_too_few_threads(most: int, engine: list[str], tmp_path: Path) -> None:
    """It is trained, or the last line says what is too little: nobody has interrupted anything, no round has failed by that."""
    if os.geteuid() or not which("setpriv") or subprocess.run([*AS_STRANGER, *READS_ALL, "true"], check=False).returncode:
        pytest.skip("needs root, who may be somebody else")
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest's own are its user's alone
        folder.chmod(0o777 if folder == tmp_path else folder.stat().st_mode | 0o11)
    command = [*AS_STRANGER, *READS_ALL, "bash", "-c", f'ulimit -u {most}; exec "$@"', "bash", *PYTHON, *QUICK]
    where = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = run(tmp_path, [*command, *engine, "hydra.run.dir=out"], **where)
    said = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "done"
        return
    assert done.returncode == 1, done.stderr
    few = "digitcmp: no more threads or processes are allowed here (ulimit -u); allow more"
    none = r"digitcmp: no worker process can be started \(.*\); engine=serial needs none"
    assert said[-1] == few or re.fullmatch(none, said[-1]), done.stderr
    assert most < 40
    assert not any(path.read_bytes() for path in tmp_path.glob("out/records/*.jsonl"))
