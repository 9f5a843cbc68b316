"""What search.md says of a final."""

from typing import Any

import pandas as pd

from digitcmp import inert
from digitcmp.counting import counted
from digitcmp.report.metrics import METRICS, NONE
from digitcmp.report.tables import percent, to_markdown
from digitcmp.search.best import CONFIRM
from digitcmp.search.finalists import FOLDER, Final
from digitcmp.search.race import FIRST_TEST

ACCURACY = METRICS["val_accuracy"]


def final_lines(final: Final, incumbent: int | None, confirmed: bool) -> str:
    """The section of a final. incumbent: the number of the trial that the search began with, None where it is not among the finalists;
    confirmed: whether the page has a confirmation."""
    seeds, number = final.seeds, len(final.finalists)
    fewer = f" ({final.wanted} were wanted; no more different trials are complete)" if number < final.wanted else ""
    lead = (
        f"{number} finalists{fewer}, each up to {counted(len(seeds), 'fresh round')} (seeds {seeds[0]} to {seeds[-1]}) with the validation "
        "pairs of the trials, never tested. The best mean over the same seeds is picked. A finalist that clearly lost against another one "
        f"was dropped (one-sided signed-rank p of at most 5 %, looked at after each round from the {FIRST_TEST}th on). Leads are the "
        "winner's, paired by seed (Hodges-Lehmann, 95 % interval). The winner is picked by these rounds, so that its mean and its leads "
        f"here are too good on average; {'the confirmation gives' if confirmed else CONFIRM} a fair estimate.\n"
    )
    rows = [shown(row, place == 0, row["trial"] == incumbent, len(seeds)) for place, row in enumerate(final.table().to_dict("records"))]
    return f"## Final\n\n{lead}\n{to_markdown(pd.DataFrame(rows))}\nTheir rounds: `{FOLDER}/`.\n"


def shown(row: dict[Any, Any], won: bool, incumbent: bool, rounds: int) -> dict[str, str]:
    """A row of its table."""
    lead, score = NONE, NONE
    if not won and row["pairs"] > 0:
        lead = ACCURACY.estimate(row, ("difference", "difference_low", "difference_high"), "+")
        score = "/".join(str(int(row[name])) for name in ("won", "tied", "lost"))
    outcome = {
        "complete": "picked" if won else "",
        "dropped": f"dropped after {counted(row['rounds'], 'round')}",
        "failed": f"failed: {row['reason']}",
    }
    return {
        "finalist": f"trial {row['trial']}" + (" (start)" if incumbent else ""),
        "rounds": f"{row['rounds']} of {rounds}",
        "mean [%]": NONE if pd.isna(row["mean"]) else percent(row["mean"]),
        "in the search [%]": NONE if pd.isna(row["search"]) else percent(row["search"]),
        "winner's lead [points]": lead,
        "its rounds won/tied/lost": score,
        "": inert.markdown(outcome[row["state"]]),
    }
