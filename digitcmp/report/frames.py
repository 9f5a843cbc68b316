"""Records on disk as pandas frames."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from digitcmp.errors import RunError

WHOLE = {"seed": "int64", "epoch": "int64", "epochs": "int64", "best_epoch": "Int64"}
TEXT = {"status": "string", "error": "string"}


def read_run(directory: Path) -> dict[str, Any]:
    """run.json. Raises RunError when the directory holds no readable one."""
    try:
        about: dict[str, Any] = json.loads((directory / "run.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"{directory} holds no run (run.json cannot be read: {error})") from error
    return about


def read_rows(path: Path) -> pd.DataFrame:
    """epochs.csv or rounds.csv with typed columns. Raises RunError when the file is missing or damaged."""
    try:
        frame = pd.read_csv(path, dtype={**WHOLE, **TEXT}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    numbers = [name for name in frame.columns if name not in {**WHOLE, **TEXT}]
    return frame.astype(dict.fromkeys(numbers, "float64"))
