"""What makes a run itself: its configuration and the hash of it. Runs with equal hashes are replicates."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from digitcmp.config import Config

# where and how a run is executed, not what it computes
PLACE = ("seed", "rounds", "device", "engine", "workers", "save_model")


def configuration(config: Config) -> dict[str, Any]:
    """Everything that can change a round's numbers, except the seed, as plain nested values."""
    values = {name: value for name, value in asdict(config).items() if name not in PLACE}
    del values["data"]["root"]  # the same files elsewhere are the same data
    return values


def configuration_hash(values: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 sum of the configuration in canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
