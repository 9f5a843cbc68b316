"""The server that worker processes are forked from: a process that has imported torch once, and does nothing but fork.

Workers then start in milliseconds and share the memory of torch's libraries (some 300 MB of CUDA builds). Forking the program
itself could hang, since torch has threads in it. The server and the program talk through a pair of sockets that only they have:
no file, no name, no folder for either. (`multiprocessing`'s own server needs a socket in TMPDIR, whose path may be too long, takes
files of the working folder for modules, and keeps whoever waits for it waiting when it is stopped.)

A request is a line, and so is its answer; dots before it say that the server is alive. When the program ends, however that comes
about, its end of the pair is closed, and the server ends its workers and itself.
"""

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from hydra.core.utils import env_override

from digitcmp.config.allowed import code_here
from digitcmp.entry import ending_signals, hush
from digitcmp.errors import RunError

SILENCE = 60.0  # seconds without a sign of life after which a process is ended: it was stopped, or hangs
BEATS = 12  # signs of life in that time
REAPING = 2.0  # seconds that a server takes at most to tell how a worker has ended
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Every step frees and asks for the same few megabytes. glibc would give them back to the system and get them anew, page
# by page, which took up to a third of the steps' time; other systems' allocators do not know these names.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)}
WORKER = "digitcmp.experiment.executors.worker"
SHARED = ("torchvision.datasets", "sklearn.datasets")  # imported in the server where this process has needed them for its data
CODE = "import sys; sys.path[:] = {path!r}; from digitcmp.experiment.executors.server import serve; serve({number}, {modules!r}, {beat})"


class ServerError(Exception):
    """A server that has died, or was not heard of, or could not do what it was asked for."""


class ForkServer:
    """The server of this program, from the outside."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        modules = [WORKER, *(name for name in SHARED if name in sys.modules)]
        package = str(Path(__file__).resolve().parents[3])  # on no path where `python -m` has found it in the working folder
        path = [*sys.path, *([] if package in sys.path else [package])]
        self.code = code_here()
        code = CODE.format(path=path, number=theirs.fileno(), modules=modules, beat=SILENCE / BEATS)
        # Ctrl-C and its like, which reach the whole process group or job, are the program's alone: the server and its workers never hear
        # of them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
        try:
            with env_override({**ONE_THREAD, **KEEP_MEMORY}):  # read by the libraries when they are loaded
                self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        atexit.register(self.end)

    @property
    def alive(self) -> bool:
        """Whether it can be asked for something."""
        return self.ours.fileno() >= 0 and self.process.poll() is None

    def fork(self, connection: Connection, device: str) -> int:
        """Start a worker that has this end of a pipe; its process number. Raises ServerError."""
        return int(self.ask(f"fork {device} {SILENCE / BEATS}", SILENCE, [connection.fileno()]))

    def reap(self, worker: int) -> int | None:
        """End a worker, unless it has ended. Returns the exit code of its process (negative: the number of a signal), None where
        nobody knows it any more."""
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)  # the number is still its own, as nobody else asks for its exit code
        try:
            return int(self.ask(f"reap {worker}", REAPING))
        except ServerError:
            return None

    def ask(self, request: str, limit: float, numbers: Sequence[int] = ()) -> str:
        """Send a request and file numbers; its answer. limit: seconds between two signs of life. Raises ServerError; the server is ended
        when it is silent."""
        answer = b""
        try:
            self.ours.settimeout(limit)
            socket.send_fds(self.ours, [request.encode()], numbers)
            while not answer.endswith(b"\n"):
                if not (part := self.ours.recv(1000)):
                    raise EOFError
                answer = (answer + part).lstrip(b".")
        except TimeoutError:
            self.end()
            raise ServerError(f"the server of the worker processes was not heard of for {limit:.0f} s") from None
        except (OSError, ValueError, EOFError):  # ValueError: its socket has been closed already
            raise ServerError(f"the server of the worker processes ended with exit code {self.end()}") from None
        except BaseException:  # Ctrl-C: nobody must take an answer that still comes for that to another request
            self.end()
            raise
        kind, _, text = answer.decode(errors="replace").strip().partition(" ")
        if kind != "ok":
            raise ServerError(text)
        return text

    def end(self) -> int:
        """End it, and with it its workers; its exit code."""
        atexit.unregister(self.end)
        self.ours.close()
        try:
            code: int = self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            self.process.kill()  # also one that is stopped
            code = self.process.wait()
        return code


class Servers:
    """The server that is there; another one when it is gone."""

    def __init__(self) -> None:
        self.server: ForkServer | None = None

    def get(self) -> ForkServer:
        """The server, which is started where there is none, or one that has other code. Raises RunError."""
        if self.server is None or not self.server.alive or self.server.code != code_here():
            try:
                self.server = ForkServer()
            except OSError as error:
                raise cannot_start(error.strerror) from error
        return self.server

    def fork(self, connection: Connection, device: str) -> tuple[ForkServer, int]:
        """Start a worker: its server and its process number. A server that fails is replaced once. Raises RunError."""
        try:
            return (server := self.get()), server.fork(connection, device)
        except ServerError:
            self.server = None
        try:
            return (server := self.get()), server.fork(connection, device)
        except ServerError as error:
            raise cannot_start(str(error)) from error


def cannot_start(reason: str | None) -> RunError:
    """The error of who cannot have workers."""
    return RunError(f"no worker process can be started ({reason}); engine=serial needs none")


servers = Servers()


# ---- in the server ----


def serve(number: int, modules: Sequence[str], beat: float) -> None:
    """Import the modules, then fork a worker for each request, until the program has ended.

    number: of the server's socket. beat: seconds between two signs of life while it imports.
    """
    ignore_signals()
    hush()
    control, problem, workers = socket.socket(fileno=number), "", set[int]()
    try:
        with beating(control, beat):
            for name in modules:
                import_module(name)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    while True:
        try:
            request, numbers, _, _ = socket.recv_fds(control, 1000, 1)
        except ConnectionResetError:  # the program has ended without having read the last answer
            request = b""
        if not request:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            os._exit(0)
        kind, _, text = request.decode().partition(" ")
        if kind == "reap":
            workers.discard(int(text))
            answer = f"ok {os.waitstatus_to_exitcode(os.waitpid(int(text), 0)[1])}"
        elif problem:
            answer = f"error {' '.join(problem.split())}"
        else:
            answer = fork(control, numbers[0], workers, *text.split())
        for one in numbers:
            os.close(one)
        with suppress(BrokenPipeError, ConnectionResetError):
            control.sendall(f"{answer}\n".encode())


def ignore_signals() -> None:
    """Ignore what ends programs, here and in the workers, before it is let through again."""
    for one in ending_signals():
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())


def fork(control: socket.socket, number: int, workers: set[int], device: str, beat: str) -> str:
    """Start a worker with this end of a pipe; the answer. Returns in the server alone."""
    try:
        worker = os.fork()
    except OSError as error:
        return f"error {error.strerror}"
    if worker:
        workers.add(worker)
        return f"ok {worker}"
    code = 1
    try:
        control.close()
        import_module(WORKER).serve(Connection(number), device, float(beat))
        code = 0
    except BaseException as error:  # never back into the server's loop
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


@contextmanager
def beating(control: socket.socket, beat: float) -> Iterator[None]:
    """Send dots meanwhile. Nobody must fork before this is left: it has a thread."""
    over = threading.Event()

    def send() -> None:
        with suppress(OSError):
            while not over.wait(beat):
                control.sendall(b".")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_for_end(connection: Connection) -> None:
    """Wait until the other end of a pipe is closed, whatever else comes through it."""
    poll = select.poll()
    poll.register(connection.fileno(), 0)  # nothing is asked for: what ends it is told anyway
    while not any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll()):
        pass
