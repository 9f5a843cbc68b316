"""summary/ of a search: search.md, trials.csv and the figures; and what the terminal shows of it."""

import shlex
from pathlib import Path

import pandas as pd
from rich.console import Console

from digitcmp.files import write_whole
from digitcmp.report.figures import render
from digitcmp.report.tables import p_value, percent, span, to_markdown
from digitcmp.search import figures, frames
from digitcmp.search.best import FOLDER, Confirmed
from digitcmp.search.space import short
from digitcmp.search.spec import SearchSpec
from digitcmp.search.study import SharedStudy


def write_summary(spec: SearchSpec, shared: SharedStudy, command: str, confirmed: Confirmed | None, console: Console) -> Path:
    """Write all files of the summary and print its essence. Returns search.md. Raises RunError when nothing can be written.

    With report=false only search.md and trials.csv.
    """
    folder, table = spec.folder / "summary", frames.trials(shared.study, spec.trial.steps)
    importance = frames.importances(shared.study)
    write_whole(folder / "trials.csv", table.to_csv(index=False, float_format="%.8g", lineterminator="\n"))
    drawn = draw(shared, table, importance, folder) if spec.base.report else []
    sections = [
        header_lines(spec, shared, command),
        count_lines(spec, shared, table),
        best_lines(spec, shared),
        *([confirmed_lines(shared, confirmed)] if confirmed else []),
        *([importance_lines(importance)] if len(importance) else []),
        *(["## Figures\n\n" + "\n".join(f"![{name}]({name}.png)" for name in drawn) + "\n"] if drawn else []),
        f"## Look closer\n\n```bash\n{dashboard_command(shared)}\n```\n",
    ]
    path = write_whole(folder / "search.md", "\n".join(sections))
    show(spec, shared, table, confirmed, path, console)
    return path


def draw(shared: SharedStudy, table: pd.DataFrame, importance: pd.DataFrame, folder: Path) -> list[str]:
    """Draw what there is to draw, as PNG and SVG; the names of the figures."""
    made = {"history": figures.history(table)}
    points = frames.slices(table, shared.study)
    if len(importance):
        made["importances"] = figures.importances(importance)
    if len(points):
        made["slices"] = figures.slices(points)
    for name, figure in made.items():
        for kind in ("png", "svg"):
            write_whole(folder / f"{name}.{kind}", render(figure, kind))
    return list(made)


def header_lines(spec: SearchSpec, shared: SharedStudy, command: str) -> str:
    """What was searched, and by which command."""
    trial, data, settings = spec.trial, spec.base.data, spec.settings
    kind = "round" if trial.by_round else "epoch"
    pairs = f"{data.train_pairs - data.val_pairs} training and {data.val_pairs} validation pairs"
    return (
        f"# Search {shared.study.study_name}\n\n```bash\n{command}\n```\n\n"
        f"Each trial: {len(trial.seeds)} rounds (seeds {trial.seeds[0]} to {trial.seeds[-1]}) of {trial.epochs} epochs on "
        f"{data.source}, {pairs}, never tested. "
        f"Sampler {settings.sampler}, pruner {settings.pruner}, asked after each {kind}.\n"
    )


def count_lines(spec: SearchSpec, shared: SharedStudy, table: pd.DataFrame) -> str:
    """Trials by state and epochs."""
    counts, spent = shared.counts(), frames.count_epochs(table, spec.trial.steps)
    lines = [
        f"- Trials: {counts.counted} of {shared.settings.n_trials}: {counts.complete} complete, {counts.pruned} pruned; "
        f"{counts.failed} failed, {counts.running} running.",
        f"- Epochs: {spent.trained:,} trained instead of {spent.full:,} without pruning: {spent.saved:.1%} saved; "
        f"{spent.failed:,} more in failed trials.",
    ]
    return "\n".join(lines) + "\n"


def best_lines(spec: SearchSpec, shared: SharedStudy) -> str:
    """The best trial beside the point that the search began with."""
    best = shared.study.best_trial
    names = [dimension.name for dimension in spec.space.searched]
    rows = [
        {"": name, f"best: trial {best.number}": short(best.params.get(name, "–")), "start": short(spec.start.get(name, "–"))}
        for name in names
    ]
    begun = next((trial for trial in shared.study.get_trials(deepcopy=False) if trial.params == spec.start and trial.values), None)
    reached = "–" if begun is None or begun.value is None else percent(begun.value) + (" (pruned)" if begun.state.name == "PRUNED" else "")
    rows.append({"": "validation accuracy [%]", f"best: trial {best.number}": percent(best.value or 0.0), "start": reached})
    return "## Best\n\n" + to_markdown(pd.DataFrame(rows)) + "\nAs an experiment file: `best.yaml`.\n"


def confirmed_lines(shared: SharedStudy, confirmed: Confirmed) -> str:
    """What fresh seeds say."""
    best, start, row = confirmed.best, confirmed.start, confirmed.comparison
    seeds = f"{len(confirmed.seeds)} fresh rounds (seeds {confirmed.seeds[0]} to {confirmed.seeds[-1]}), all training pairs, test accuracy"
    lines = ["## Confirmed on fresh seeds\n", f"{seeds}.\n"]
    rows = [
        {
            "": name,
            "rounds": str(int(one["rounds"])),
            "failed": str(int(one["failed"])),
            "test accuracy [%]": percent(one["mean"]),
            "95 % interval": span(one["low"], one["high"]),
        }
        for name, one in (("best", best), ("start", start))
    ]
    if row is None:
        rows = rows[:1]
        lines.append("The best configuration is the one that the search began with.\n")
    lines.append(to_markdown(pd.DataFrame(rows)))
    if row is not None:
        interval, games = span(row["low"], row["high"], "+.2f"), f"won {row['won']}, tied {row['tied']}, lost {row['lost']}"
        lines.append(
            f"Paired difference, best minus start: **{percent(row['mean'], '+.2f')} points** (95 % interval {interval}, "
            f"{row['pairs']} pairs of rounds, Wilcoxon p {p_value(row['p'])}; {games}).\n"
        )
    lines.append(
        f"The search itself had seen {percent(shared.study.best_value)} % for the best, on its own seeds and with fewer training pairs.\n"
        f"All figures: `{FOLDER}/summary/report.html`.\n"
    )
    return "\n".join(lines)


def importance_lines(importance: pd.DataFrame) -> str:
    """The importances as a table."""
    rows = [{"parameter": row["parameter"], "importance [%]": percent(row["importance"], ".1f")} for row in importance.to_dict("records")]
    return "## Importance\n\nShare of the variance of the objective (fANOVA over the complete trials).\n\n" + to_markdown(
        pd.DataFrame(rows)
    )


def dashboard_command(shared: SharedStudy) -> str:
    """The command that opens the study in a browser, with the storage as optuna-dashboard wants it."""
    return shlex.join(["optuna-dashboard", shared.storage.name.removeprefix("journal:///")])


def show(spec: SearchSpec, shared: SharedStudy, table: pd.DataFrame, confirmed: Confirmed | None, path: Path, console: Console) -> None:
    """Print what fits a few lines."""
    best = shared.study.best_trial
    console.print(count_lines(spec, shared, table).strip(), highlight=False, markup=False, soft_wrap=True)
    parameters = " ".join(f"{name}={short(value)}" for name, value in best.params.items())
    console.print(
        f"- Best: trial {best.number}, validation accuracy {best.value:.2%}: {parameters}", highlight=False, markup=False, soft_wrap=True
    )
    if confirmed is not None and confirmed.comparison is not None:
        row = confirmed.comparison
        span_ = span(row["low"], row["high"], "+.2f")
        console.print(
            f"- On {len(confirmed.seeds)} fresh seeds: {percent(row['mean'], '+.2f')} points ({span_}) over the start", highlight=False
        )
    console.print(f"[dim]summary[/dim]  {path}\n[dim]look[/dim]     {dashboard_command(shared)}", highlight=False, soft_wrap=True)
