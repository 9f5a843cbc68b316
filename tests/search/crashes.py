"""Kill processes that work on a study, and see whether every trial is accounted for."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.search.made import WORKER, open_shared

PATIENCE = 120  # seconds


def start(url: str, n_trials: int, log: Path, seconds: float = 0.05) -> "subprocess.Popen[bytes]":
    """A process that works on the study."""
    return subprocess.Popen([sys.executable, str(WORKER), url, str(n_trials), str(log), str(seconds)])


def wait_for(log: Path, lines: int) -> None:
    """Wait until a log has so many lines."""
    end = time.monotonic() + PATIENCE
    while not log.exists() or len(log.read_text().splitlines()) < lines:
        assert time.monotonic() < end, "the workers do nothing"
        time.sleep(0.01)


def check_kills(url: str, folder: Path, n_trials: int = 60, seed: int = 0) -> None:
    """Four processes, two of them killed at random moments: n_trials count, none is lost, none is counted twice."""
    log, chance = folder / "log", random.Random(seed)
    workers = [start(url, n_trials, log) for _ in range(4)]
    try:
        for victim, begun in ((0, 8), (1, 40)):
            wait_for(log, begun)
            time.sleep(chance.random() * 0.1)
            workers[victim].kill()
        codes = [worker.wait(PATIENCE) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert codes == [-9, -9, 0, 0]
    check_accounts(url, log, n_trials)


def check_restarts(url: str, folder: Path, n_trials: int = 30, kills: int = 6, seed: int = 0) -> None:
    """One process, killed at random moments and started again with the same command, ends with n_trials."""
    log, chance = folder / "log", random.Random(seed)
    log.touch()
    for _ in range(kills):
        worker, before = start(url, n_trials, log), len(log.read_text().splitlines())
        wait_for(log, before + 1)
        time.sleep(chance.random() * 0.15)
        worker.kill()
        assert worker.wait(PATIENCE) == -9
    assert start(url, n_trials, log).wait(PATIENCE) == 0
    check_accounts(url, log, n_trials)


def check_accounts(url: str, log: Path, n_trials: int) -> None:
    """Exactly n_trials count, nothing is left over, and no trial was ended twice."""
    with open_shared(url, n_trials) as shared:
        counts = shared.counts()
        trials = shared.study.get_trials()
    assert (counts.counted, counts.failed, counts.running) == (n_trials, 0, 0)
    assert len(trials) == n_trials
    assert {"optimizer", "optimizer.lr"} <= set.intersection(*(set(trial.params) for trial in trials))
    ended = Counter(line for line in log.read_text().splitlines() if line.startswith("ended"))
    assert max(ended.values()) == 1
    assert len(ended) >= n_trials - 8  # a process may be killed after it ended a trial and before it wrote
