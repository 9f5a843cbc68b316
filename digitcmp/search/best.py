"""best.yaml: the best configuration of a search as an `experiment` file."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from digitcmp.config.composed import typed, unchecked, without_hydra
from digitcmp.config.identity import configuration, flat
from digitcmp.config.schema import Config
from digitcmp.experiment.provenance import now, versions
from digitcmp.files import write_whole
from digitcmp.search.spec import SearchSpec, compose, under
from digitcmp.search.study import SharedStudy

HELD_OUT = ("test", "data.val_pairs")  # what belongs to a search, and not to a recipe
TRAINING = ("epochs", "batch_size", "aux_weight")  # what a recipe says even where it is the default


def write_best(spec: SearchSpec, shared: SharedStudy, context: HydraContext, config: DictConfig, command: str) -> Path:
    """Write best.yaml into the sweep's folder. Raises RunError when it cannot be written."""
    best = shared.study.best_trial
    composed = compose(context, config, spec.overrides(best.params))
    text = provenance(spec, shared, best, command) + recipe(spec, composed, context, config)
    return write_whole(spec.folder / "best.yaml", text)


def groups() -> list[str]:
    """The groups of a configuration: its parts that have keys of their own."""
    hints = get_type_hints(Config)
    return [item.name for item in fields(Config) if is_dataclass(hints[item.name])]


def recipe(spec: SearchSpec, composed: DictConfig, context: HydraContext, config: DictConfig) -> str:
    """The choice of every group, then what differs from these choices by themselves."""
    choices = {group: str(composed.hydra.runtime.choices[group]) for group in groups()}
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    plain = context.config_loader.load_configuration(config.hydra.job.config_name, chosen, run_mode=RunMode.RUN)
    # the choices alone need not make a recipe: decoder, for one, wants a weight for its digit loss
    before, after = flat(configuration(unchecked(without_hydra(plain)))), flat(configuration(typed(composed)))
    searched = [dimension.name for dimension in spec.space.searched if dimension.name not in choices]
    kept = OmegaConf.create()
    for name, value in after.items():
        if name not in HELD_OUT and (name in TRAINING or under(name, searched) or before.get(name, "absent") != value):
            OmegaConf.update(kept, name, value)
    defaults = ", ".join(f"override /{group}: {choice}" for group, choice in choices.items())
    return f"defaults: [{defaults}]\n" + OmegaConf.to_yaml(kept)


def provenance(spec: SearchSpec, shared: SharedStudy, best: FrozenTrial, command: str) -> str:
    """Where the file comes from, as YAML comments under the line that makes it an experiment."""
    counts, trial, used = shared.counts(), spec.trial, versions()
    folder = spec.folder
    lines = [
        f"Trial {best.number} of {counts.counted} ({counts.pruned} of them pruned) of the study {shared.study.study_name}:",
        f"validation accuracy {best.value:.4f}, mean over {len(trial.seeds)} rounds (seeds {trial.seeds[0]} to {trial.seeds[-1]}) "
        f"with {spec.base.data.val_pairs} of {spec.base.data.train_pairs} training pairs held out. Not tested.",
        f"Made by: {command}",
        f"{now()}, digitcmp {used['digitcmp']}" + (f", commit {used['git_commit']}" if "git_commit" in used else ""),
        f"Use: copy it to conf/experiment/NAME.yaml, then +experiment=NAME; or --config-dir {folder.parent} +{folder.name}=best",
    ]
    return "# @package _global_\n" + "".join(f"# {line}\n" for line in lines)
