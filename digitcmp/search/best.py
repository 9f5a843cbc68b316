"""best.yaml: the best configuration of a search as an `experiment` file."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from digitcmp.config.composed import typed, unchecked, without_hydra
from digitcmp.config.identity import configuration, flat
from digitcmp.config.schema import Config
from digitcmp.experiment.provenance import now, versions
from digitcmp.files import write_whole
from digitcmp.search.spec import Setting, compose, under
from digitcmp.search.study import Ledger

HELD_OUT = ("test", "data.val_pairs")  # what belongs to a search, and not to a recipe
TRAINING = ("epochs", "batch_size", "aux_weight")  # what a recipe says even where it is the default


def write_best(setting: Setting, ledger: Ledger, context: HydraContext, config: DictConfig, command: str) -> Path:
    """Write best.yaml into the sweep's folder. Raises RunError when it cannot be written."""
    best = ledger.study.best_trial
    composed = compose(context, config, setting.overrides(best.params))
    text = provenance(setting, ledger, best, command) + recipe(setting, composed, context, config)
    return write_whole(setting.folder / "best.yaml", text)


def groups() -> list[str]:
    """The groups of a configuration: its parts that have keys of their own."""
    hints = get_type_hints(Config)
    return [item.name for item in fields(Config) if is_dataclass(hints[item.name])]


def recipe(setting: Setting, composed: DictConfig, context: HydraContext, config: DictConfig) -> str:
    """The choice of every group, then what differs from these choices by themselves."""
    choices = {group: str(composed.hydra.runtime.choices[group]) for group in groups()}
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    plain = context.config_loader.load_configuration(config.hydra.job.config_name, chosen, run_mode=RunMode.RUN)
    # the choices alone need not make a recipe: decoder, for one, wants a weight for its digit loss
    before, now_ = flat(configuration(unchecked(without_hydra(plain)))), flat(configuration(typed(composed)))
    searched = [dimension.name for dimension in setting.space.searched if dimension.name not in choices]
    told = {
        name: value
        for name, value in now_.items()
        if name not in HELD_OUT and (name in TRAINING or under(name, searched) or before.get(name, "absent") != value)
    }
    defaults = ", ".join(f"override /{group}: {choice}" for group, choice in choices.items())
    return f"defaults: [{defaults}]\n" + yaml.safe_dump(nested(told), sort_keys=False, allow_unicode=True, width=120)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def provenance(setting: Setting, ledger: Ledger, best: FrozenTrial, command: str) -> str:
    """Where the file comes from, as YAML comments under the line that makes it an experiment."""
    counts, course, used = ledger.counts(), setting.course, versions()
    folder = setting.folder
    lines = [
        f"Trial {best.number} of {counts.counted} ({counts.pruned} of them pruned) of the study {ledger.study.study_name}:",
        f"validation accuracy {best.value:.4f}, mean over {len(course.seeds)} rounds (seeds {course.seeds[0]} to {course.seeds[-1]}) "
        f"with {setting.base.data.val_pairs} of {setting.base.data.train_pairs} training pairs held out. Not tested.",
        f"Made by: {command}",
        f"{now()}, digitcmp {used['digitcmp']}" + (f", commit {used['git_commit']}" if "git_commit" in used else ""),
        f"Use: copy it to conf/experiment/NAME.yaml, then +experiment=NAME; or --config-dir {folder.parent} +{folder.name}=best",
    ]
    return "# @package _global_\n" + "".join(f"# {line}\n" for line in lines)
