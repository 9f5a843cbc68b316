"""A process that works on a study with trials that only sleep: python worker.py URL N_TRIALS LOG SECONDS."""

import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from digitcmp.search.grammar import make_space
from tests.search.made import PARAMS, open_shared


def main() -> None:
    """Claim, sleep, end, until enough trials count; wait for those that others have."""
    url, n_trials, log, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    space, chance = make_space(PARAMS, []), random.Random(os.getpid())
    with open_shared(url, n_trials) as shared, Path(log).open("a", buffering=1) as notes:
        while shared.counts().counted < n_trials:
            claimed = shared.claim()
            if claimed is None:
                time.sleep(0.05)
                continue
            trial, _ = claimed
            space.suggest(trial)
            notes.write(f"begun {trial.number}\n")
            time.sleep(chance.random() * seconds)
            ending = "pruned" if chance.random() < 0.3 else "complete"
            trial.report(0.5, 1)
            if shared.end(trial.number, ending, None if ending == "pruned" else chance.random(), 1):
                notes.write(f"ended {trial.number}\n")


if __name__ == "__main__":
    main()
