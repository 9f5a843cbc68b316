"""preview=true of a search: a few short trials, a short confirmation, and what the whole of it is (`digitcmp.experiment.preview`)."""

import sys
from dataclasses import replace

from digitcmp.experiment import preview
from digitcmp.search.spec import SearchSpec

FINALISTS = 2


def few_of(spec: SearchSpec) -> SearchSpec:
    """The search as its preview makes it. A study that was given a name has another one, since its storage may be the same."""
    settings = spec.settings
    few = replace(
        settings,
        n_trials=min(preview.TRIALS, settings.n_trials),
        finalists=min(FINALISTS, settings.finalists),
        finalist_rounds=min(preview.ROUNDS, settings.finalist_rounds),
        confirm=min(preview.ROUNDS, settings.confirm),
        study_name=settings.study_name and settings.study_name + preview.SUFFIX,
    )
    return replace(spec, settings=few, base=preview.shortened(spec.base))


def whole_of(spec: SearchSpec) -> preview.Whole:
    """What a preview of this search is a preview of. Which trials there will be nobody knows: they are taken to be like the first ones."""
    from digitcmp.search.best import FOLDER as CONFIRM
    from digitcmp.search.finalists import FOLDER

    settings, trial = spec.settings, spec.trial
    names = [spec.trial_folder(number) for number in range(preview.TRIALS)]
    parts = [preview.Part(names, settings.n_trials, settings.n_trials * len(trial.seeds), trial.epochs)]
    if settings.finalists:
        met = [f"{FOLDER}/{name}" for name in names]
        parts.append(preview.Part(met, settings.finalists, settings.finalists * settings.finalist_rounds, trial.epochs))
    if settings.confirm:
        ends = [f"{CONFIRM}/{name}" for name in (*names, "start")]
        parts.append(preview.Part(ends, 2, 2 * settings.confirm, trial.epochs))
    return preview.make_whole(preview.typed_command(sys.argv[1:]), [spec.base], parts, most=settings.pruner != "none")
