"""Which rounds in flight have come to no further epoch for much longer than an epoch takes: a process that uses processor time is not
taken for hung, and a loss in an endless loop looks busy. They are named, and nothing is ended: a round may be slow for a reason."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from digitcmp.terminal import words

FACTOR = 20  # times the slowest epoch of its configuration
LEAST = 600.0  # seconds
UNKNOWN = 3600.0  # seconds, where no epoch of its configuration has been seen
ASLEEP = 60.0  # seconds from one look to the next after which nobody was awake (Ctrl-Z)


@dataclass
class Pending:
    """A round in flight. since: when it was begun or came to its last epoch, by the monotonic clock; told: whether it is known as slow."""

    epoch: int
    since: float
    told: bool = False


@dataclass
class Slow:
    """The rounds in flight, by their run (its file) and seed. slowest: seconds of the slowest epoch of each run so far."""

    flights: dict[tuple[Path, int], Pending] = field(default_factory=dict)
    slowest: dict[Path, float] = field(default_factory=dict)
    looked: float | None = None

    def come(self, run: Path, seed: int, epoch: int, now: float) -> None:
        """A round is begun or goes on after this epoch, or has come to it."""
        before = self.flights.get((run, seed))
        if before is not None and epoch > before.epoch:
            took = (now - before.since) / (epoch - before.epoch)
            self.slowest[run] = max(took, self.slowest.get(run, 0.0))
        self.flights[run, seed] = Pending(epoch, now)

    def end(self, run: Path, seed: int) -> None:
        """A round is in flight no more."""
        self.flights.pop((run, seed), None)

    def look(self, now: float) -> list[tuple[Path, int, str]]:
        """The rounds (run and seed) that have become slow since the last look, and for how long they have come to no epoch, in words."""
        if self.looked is not None and now - self.looked > ASLEEP:
            for flight in self.flights.values():
                flight.since += now - self.looked
        self.looked, found = now, []
        for (run, seed), flight in self.flights.items():
            most = self.slowest.get(run)
            if not flight.told and now - flight.since > (UNKNOWN if most is None else max(LEAST, FACTOR * most)):
                flight.told = True
                than = "none of its configuration is known" if most is None else f"the slowest of its configuration took {words(most)}"
                found.append((run, seed, f"no epoch after {flight.epoch} for {words(now - flight.since)}; {than}"))
        return found

    def times(self, run: Path, now: float) -> dict[int, str]:
        """Since when the slow rounds of a run have come to no epoch, by the clock on the wall, in UTC."""
        slow = {seed: flight for (of, seed), flight in self.flights.items() if of == run and flight.told}
        return {seed: clock(now - flight.since) for seed, flight in slow.items()}


def clock(seconds: float) -> str:
    """The time so many seconds ago."""
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="minutes")
