"""summary/ of a search: the trials of its study as frames, trials.csv, search.md and the figures; and what the terminal shows of it."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial
from rich.console import Console

from digitcmp import inert
from digitcmp.counting import counted
from digitcmp.files import remove_leftovers, write_whole
from digitcmp.report.metrics import NONE, TEST_ACCURACY
from digitcmp.report.rendering import files
from digitcmp.report.tables import csv_text, p_value, percent, to_markdown
from digitcmp.search import figures
from digitcmp.search.best import FOLDER, Confirmed, picked_lines
from digitcmp.search.final_page import final_lines
from digitcmp.search.finalists import Final
from digitcmp.search.frames import ENDED, full_epochs, lengths, slices, trials, with_final
from digitcmp.search.importance import importance_lines, importances
from digitcmp.search.space import in_words, short
from digitcmp.search.spec import SearchSpec
from digitcmp.search.study import Counts, SharedStudy
from digitcmp.terminal import say


class Summary:
    """What a search leaves in its summary/, written before its confirmation, which may fail, and once more with that."""

    def __init__(self, spec: SearchSpec, shared: SharedStudy, best: FrozenTrial, final: Final | None, command: str) -> None:
        """Write trials.csv and, unless report=false, the figures. Raises RunError when nothing can be written."""
        self.spec, self.shared, self.best, self.final, self.command = spec, shared, best, final, command
        self.folder, self.table = spec.folder / "summary", with_final(trials(shared.study, spec.trial), final)
        self.importance = importances(shared.study)
        remove_leftovers(self.folder)
        write_whole(self.folder / "trials.csv", csv_text(self.table))
        self.drawn = draw(shared, self.table, self.importance, self.folder, spec.less_is_better) if spec.base.report else []
        self.counts, self.picked = (
            count_lines(spec, shared, self.table),
            picked_lines(shared.counts().complete, final, spec.settings.confirm),
        )
        # which wants a path for a journal
        self.dashboard = shlex.join(["optuna-dashboard", shared.storage.name.removeprefix("journal:///")])

    def write(self, confirmed: Confirmed | None) -> Path:
        """Write search.md. Raises RunError when it cannot be written."""
        spec, shared, best, final = self.spec, self.shared, self.best, self.final
        begun = next((trial for trial in shared.study.get_trials(deepcopy=False) if trial.params == spec.start and trial.values), None)
        sections = [header_lines(spec, shared, self.command), self.counts, best_lines(spec, best, begun, final)]
        if self.picked and not (final or confirmed):  # a final has its own words for it
            sections.append(f"{self.picked}\n")
        if final:
            sections.append(final_lines(final, begun.number if begun else None, confirmed is not None))
        if confirmed:
            sections.append(confirmed_lines(best, confirmed))
        if told := importance_lines(self.importance, shared.counts().complete):
            sections.append(told)
        if self.drawn:
            sections.append("## Figures\n\n" + "\n".join(f"![{name}]({name}.png)" for name in self.drawn) + "\n")
        installed = "pip install 'digitcmp[dashboard]'"
        sections.append(f"## Look closer\n\n```bash\n{installed}\n{inert.visible(self.dashboard)}\n```\n")
        return write_whole(self.folder / "search.md", "\n".join(sections))

    def show(self, confirmed: Confirmed | None, path: Path, console: Console) -> None:
        """Print its essence. path: of search.md."""
        best, final = self.best, self.final
        console.print(self.counts.strip(), soft_wrap=True)
        reached = f"{best.value:.2%}" + (f", and {final.winner.mean:.2%} in the final" if final else "")
        say(console, f"- Best: trial {best.number}, validation accuracy {reached}: {in_words(best.params)}")
        if self.picked and not confirmed:
            say(console, f"- {self.picked}")
        if confirmed and (row := confirmed.comparison):
            console.print(f"- {gained(row)}", soft_wrap=True)
        say(console, str(path), "summary  ")
        say(console, self.dashboard, "look     ")


def draw(shared: SharedStudy, table: pd.DataFrame, importance: pd.DataFrame, folder: Path, less: bool) -> list[str]:
    """Draw what there is to draw, as PDF, PNG and SVG; the names of the figures. less: whether less is better."""
    made = {"history": figures.history(table, less)}
    points = slices(table, shared.study)
    if len(explained := importance.dropna(subset="importance")):
        made["importances"] = figures.importances(explained)
    if len(points):
        made["slices"] = figures.slices(points, less)
    for name, figure in made.items():
        for kind, content in files(figure).items():
            write_whole(folder / f"{name}.{kind}", content)
    return list(made)


def header_lines(spec: SearchSpec, shared: SharedStudy, command: str) -> str:
    """What was searched, and by which command."""
    trial, data, settings = spec.trial, spec.base.data, spec.settings
    kind = "round" if trial.by_round else "epoch"
    pairs = f"{data.train_pairs - data.val_pairs} training and {data.val_pairs} validation pairs"
    fewest, *most = lengths(shared.study, trial)
    return (
        f"# Search {inert.markdown(shared.study.study_name)}\n\n```bash\n{inert.visible(command)}\n```\n\n"
        f"Each trial: {counted(len(trial.seeds), 'round')} (seeds {trial.seeds[0]} to {trial.seeds[-1]}) of "
        f"{f'{fewest} to {most[0]} epochs' if most else counted(fewest, 'epoch')} on {inert.markdown(data.source)}, {pairs}, never tested. "
        f"Sampler {settings.sampler}, pruner {settings.pruner}, asked after each {kind}.\n"
    )


def count_lines(spec: SearchSpec, shared: SharedStudy, table: pd.DataFrame) -> str:
    """Trials by state and epochs."""
    counts, epochs = shared.counts(), table["epochs"].astype("float64").fillna(0)
    trained, failed = (int(epochs[table["state"].isin(states)].sum()) for states in (ENDED, ["failed"]))
    full = full_epochs(shared.study, spec.trial)
    otherwise = "without pruning" + (" and stopping.patience" if spec.base.stopping.patience else "")
    return (
        f"- Trials: {counts.counted} of {spec.settings.n_trials}: {counts.complete} complete, {counts.pruned} pruned; "
        f"{counts.failed} failed, {counts.running} running{waiting_words(counts, spec.settings.n_trials)}.\n"
        f"- Epochs: {trained:,} trained instead of {full:,} {otherwise}: {1 - trained / full if full else 0:.1%} saved; "
        f"{failed:,} more in failed trials.\n"
    )


def waiting_words(counts: Counts, n_trials: int) -> str:
    """How many trials are in the queue, as starting points are that came late, and what begins them; nothing where there are none."""
    if not counts.waiting:
        return ""
    more = f", which hydra.sweeper.n_trials={counts.counted + counts.waiting} begins" if counts.counted >= n_trials else ""
    return f", {counts.waiting} waiting{more}"


def best_lines(spec: SearchSpec, best: FrozenTrial, begun: FrozenTrial | None, final: Final | None) -> str:
    """The best trial beside the point that the search began with. begun: the trial of that point."""
    title = f"best: trial {best.number}"
    names = [dimension.name for dimension in spec.space.searched]
    rows = [{"": name, title: short(best.params.get(name, "–")), "start": short(spec.start.get(name, "–"))} for name in names]
    reached = "–" if begun is None or begun.value is None else percent(begun.value) + (" (pruned)" if begun.state.name == "PRUNED" else "")
    rows.append({"": "validation accuracy [%]", title: percent(best.value or 0.0), "start": reached})
    if final:
        met = {one.trial.number: percent(one.mean) for one in final.finalists if one.values}
        start = NONE if begun is None else met.get(begun.number, NONE)
        rows.append({"": "in the final, on fresh seeds [%]", title: met[best.number], "start": start})
    return "## Best\n\n" + to_markdown(pd.DataFrame(rows)) + "\nAs an experiment file: `best.yaml`.\n"


def gained(row: dict[Any, Any]) -> str:
    """What the best configuration is ahead of the start by, in a sentence. row: as `Confirmed.comparison`."""
    gain = TEST_ACCURACY.estimate(row, ("difference", "difference_low", "difference_high"), "+")
    failed = int(row["pairs"] - row["done"])
    worst = f"; a round failed on {failed} of them, and counts as worse than any other" if failed else ""
    return f"On {counted(int(row['pairs']), 'fresh seed')}: {gain} points over the start{worst}"


def confirmed_lines(best: FrozenTrial, confirmed: Confirmed) -> str:
    """What fresh seeds say."""
    seeds, row = confirmed.seeds, confirmed.comparison
    lines = ["## Confirmed on fresh seeds\n"]
    pairs = "as many pairs held out as in the trials" if confirmed.held_out else "all training pairs"
    told = {"best": confirmed.best} if confirmed.same else {"best": confirmed.best, "start": confirmed.start}
    each = [int(one["all"]) for one in told.values()]
    many = counted(each[0], "fresh round") + (f" of the best and {each[1]} of the start" if len({*each}) > 1 else "")
    lines.append(f"{many} (seeds {seeds[0]} to {seeds[-1]}), {pairs}, test accuracy.\n")
    if confirmed.pairs_of is not None:
        lines.append(
            f"All rounds have the pairs of data.seed={confirmed.pairs_of}, and the seeds differ in their weights alone: intervals say "
            "nothing about other pairs.\n"
        )
    if confirmed.same:
        lines.append("The best configuration is the one that the search began with.\n")
    elif confirmed.failed:
        lines.append(f"They are not compared, as all rounds of {' and '.join(f'the {name}' for name in confirmed.failed)} failed.\n")
    elif row is None:
        lines.append("They are not compared, as they have other test pairs.\n")
    rows = [
        {
            "": name,
            "rounds": str(int(one["rounds"])),
            "failed or untrained": f"{one['lost']}/{one['all']}",
            "median [%]": TEST_ACCURACY.estimate(one, ("median", "median_low", "median_high")),
            "mean [%]": TEST_ACCURACY.estimate(one, ("mean", "low", "high")),
        }
        for name, one in told.items()
    ]
    lines.append(to_markdown(pd.DataFrame(rows)))
    if row:
        interval = TEST_ACCURACY.span(row["difference_low"], row["difference_high"], "+")
        lines.append(
            f"Paired difference, best minus start: **{TEST_ACCURACY.show(row['difference'], '+')} points** (Hodges-Lehmann, 95 % interval "
            f"{interval}, {row['pairs']} pairs of rounds, signed-rank p {p_value(row['p'])}; won {row['won']}, tied {row['tied']}, "
            f"lost {row['lost']}); mean difference {TEST_ACCURACY.estimate(row, ('mean', 'low', 'high'), '+')}.\n"
        )
    lines.append(
        f"The search itself had seen a validation accuracy of {percent(best.value or 0.0)} % for the best, on its own seeds"
        f"{'' if confirmed.held_out else ' and with fewer training pairs'}.\n"
        f"All figures: `{FOLDER}/summary/report.html`.\n"
    )
    return "\n".join(lines)
