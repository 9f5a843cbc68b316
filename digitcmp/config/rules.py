"""Rules that concern several keys at once. Each raises ConfigError with one line; none needs torch."""

from collections.abc import Sequence
from dataclasses import fields

from digitcmp.config.allocation import check_slurm
from digitcmp.config.graph import graph
from digitcmp.config.identity import TESTED
from digitcmp.config.network import batch_norm, check_network
from digitcmp.config.schema import AUTO, CHOSEN_BY, COLUMNS, GROUP_SCHEMAS, MOST_LOOKS, Config
from digitcmp.counting import are, counted
from digitcmp.errors import ConfigError


def check_rules(config: Config) -> None:
    """Raise ConfigError for the first rule that the configuration breaks."""
    choices_have_their_keys(config)
    check_network(config)
    pairs_are_of_use(config)
    columns_have_networks(config)
    test_batches_are_of_use(config)
    optimizer_is_consistent(config)
    validation_has_pairs(config)
    rounds_fit_the_engine(config)
    auto_can_look(config)
    check_slurm(config.slurm)


def choices_have_their_keys(config: Config) -> None:
    """An algorithm, a shape or a kind has the keys of its own choice, not those of another one. An optimiser may have fewer, for which
    torch has defaults."""
    for group, key in CHOSEN_BY.items():
        part = getattr(config, group)
        given, chosen = {item.name for item in fields(part)}, getattr(part, key)
        for name, schema in GROUP_SCHEMAS[group].own.items():
            own = {item.name for item in fields(schema)}
            if chosen == getattr(schema, key) and (given - own or (own - given and group != "optimizer")):
                raise ConfigError(f"{group}.{key}={chosen}: it has keys of its own; choose {group}={name}, which has them")


def pairs_are_of_use(config: Config) -> None:
    """There is at least one whole batch of training pairs after validation; a network that is not tested is at least validated."""
    data, batch = config.data, config.batch_size
    if data.folds is not None and data.train_pairs % data.folds:
        raise ConfigError(
            f"data.folds={data.folds}: data.train_pairs={data.train_pairs} are not so many equal parts; use a number that divides them"
        )
    if data.folds is not None and data.val_pairs * data.folds != data.train_pairs:
        part = data.train_pairs // data.folds
        raise ConfigError(
            f"data.val_pairs={data.val_pairs}: data.folds={data.folds} of data.train_pairs={data.train_pairs} hold {part} out; leave it out"
        )
    if data.val_pairs >= data.train_pairs:
        raise ConfigError(f"data.val_pairs={data.val_pairs}: must leave some of data.train_pairs={data.train_pairs} to train on")
    if data.fold and not 0 < (data.fold + 1) * data.val_pairs <= data.train_pairs:
        raise ConfigError(
            f"data.fold={data.fold}: data.val_pairs={data.val_pairs} of data.train_pairs={data.train_pairs} are held out at a time; "
            + (f"use at most {data.train_pairs // data.val_pairs - 1}" if data.val_pairs else "hold some out, as in data.val_pairs=100")
        )
    pairs = data.train_pairs - data.val_pairs
    if batch > pairs:
        raise ConfigError(f"batch_size={batch}: there {are(pairs)} {counted(pairs, 'training pair')}; use at most {pairs}")
    if batch_norm(config.model) and pairs == 1:
        raise ConfigError("data.train_pairs: there is 1 training pair, for which batch norm is not defined; use more")
    if batch_norm(config.model) and (batch == 1 or pairs % batch == 1):
        raise ConfigError(
            f"batch_size={batch}: a batch of one pair is left of {counted(pairs, 'pair')}, for which batch norm is not defined; "
            "use another batch size"
        )
    if not config.test and data.val_pairs == 0:
        raise ConfigError("test=false: nothing would say how good the network is; hold out validation pairs, as in data.val_pairs=200")
    if data.repair and data.swap:
        raise ConfigError("data.swap=true: data.repair=true makes new pairs in every epoch, in either order; choose one of them")


def test_batches_are_of_use(config: Config) -> None:
    """Test batches are no larger than the test; where batch norm depends on them, they are given, and have the pairs that it needs."""
    batch, tested = (
        config.test_batch,
        {"data.test_pairs": config.data.test_pairs if config.test else 0, "data.val_pairs": config.data.val_pairs},
    )
    if batch is not None and batch > (most := max(tested.values())):
        raise ConfigError(f"test_batch={batch}: there {are(most)} {counted(most, 'pair')} to be tested on; use at most so many")
    if not (config.model.batch_statistics and batch_norm(config.model)):
        return
    if batch is None:
        raise ConfigError(
            "model.batch_statistics=true: the answers depend on how many pairs are tested at a time; say it, as in test_batch=50"
        )
    for name, pairs in tested.items():
        if pairs and (batch == 1 or pairs % batch == 1):
            raise ConfigError(
                f"test_batch={batch}: {name}={pairs} leaves a batch of one pair, which has no statistics (model.batch_statistics=true)"
            )


def columns_have_networks(config: Config) -> None:
    """Every network of the ensemble has a column, and each column as many networks as the others."""
    columns = f"columns=[{','.join(config.columns)}]"
    if not config.columns or len(set(config.columns)) < len(config.columns):
        raise ConfigError(f"{columns}: name one or more of {', '.join(COLUMNS)}, each once")
    if config.ensemble % len(config.columns):
        raise ConfigError(f"{columns}: {counted(config.ensemble, 'network')} cannot take turns at them; use ensemble={len(config.columns)}")


def optimizer_is_consistent(config: Config) -> None:
    """Nesterov's momentum needs momentum; Adam's betas are fractions; a comparator with a learning rate has parameters."""
    optimizer = config.optimizer
    if optimizer.comparator_lr is not None and config.model.comparator.reads == "posterior":
        raise ConfigError(f"optimizer.comparator_lr={optimizer.comparator_lr}: the comparator of {config.model.name} has no parameters")
    if getattr(optimizer, "nesterov", False) and getattr(optimizer, "momentum", 0) == 0:
        raise ConfigError("optimizer.nesterov=true: needs optimizer.momentum above 0")
    if optimizer.comparator_lr is not None and any(group.part == "comparator" for group in optimizer.groups):
        raise ConfigError("optimizer.comparator_lr: optimizer.groups has the comparator too; leave one of them out")
    parts = [group.part for group in optimizer.groups]
    there = {part.name.split("[")[0].split(".")[1] for part in graph(config.model, config.data.size) if part.parameters}
    for number, part in enumerate(parts):
        if part not in there or part in parts[:number]:
            what = f"is in optimizer.groups[{parts.index(part)}]" if part in there else f"{config.model.name} has none that learns"
            raise ConfigError(f"optimizer.groups[{number}].part={part}: {what}; choose one of {', '.join(sorted(there - {*parts}))}")
    for beta in getattr(optimizer, "betas", ()):
        if not 0 <= beta < 1:
            raise ConfigError(f"optimizer.betas={list(getattr(optimizer, 'betas', ()))}: each must be at least 0 and below 1")


def by_validation(config: Config) -> list[str]:
    """What goes by the validation accuracy, as it would be given."""
    stopping = config.stopping
    found = {
        f"stopping.patience={stopping.patience}": stopping.patience is not None,
        "stopping.best=true": stopping.best,
        "scheduler=plateau": config.scheduler.shape == "plateau",
    }
    return [given for given, there in found.items() if there]


def validation_has_pairs(config: Config) -> None:
    """Whatever goes by the validation accuracy has one."""
    if config.data.val_pairs == 0 and (given := by_validation(config)):
        raise ConfigError(f"{given[0]}: goes by the validation accuracy; hold pairs out for it, as in data.val_pairs=200")


def rounds_fit_the_engine(config: Config) -> None:
    """Workers and stacks are for the engines that have them; nodes of a cluster have devices of their own."""
    engine = config.engine
    if config.workers is not None and config.workers > 1 and engine in ("serial", "stacked"):
        raise ConfigError(f"workers={config.workers}: engine={engine} has no workers; use engine=processes")
    if config.stack_size is not None and engine not in ("stacked", "auto", "ray"):
        raise ConfigError(f"stack_size={config.stack_size}: engine={engine} has no stacks; use engine=stacked")
    if config.device != "auto" and engine == "ray":
        raise ConfigError(
            f"device={config.device}: the nodes of engine=ray train on a GPU with ray.gpus=1, else on a CPU; leave device=auto"
        )


def auto_can_look(config: Config) -> None:
    """rounds=auto looks at test accuracies, after each batch."""
    auto = config.auto
    if config.rounds != AUTO:
        return
    if not config.test:
        raise ConfigError("rounds=auto: looks at test accuracies, and test=false leaves none; give a number, as in rounds=10")
    if config.data.folds is not None:
        raise ConfigError(
            "rounds=auto: compares networks, and would take the folds of a cross-validation for such; give a number, as in rounds=10"
        )
    if auto.max < auto.batch:
        raise ConfigError(f"auto.max={auto.max}: the first batch has auto.batch={auto.batch} rounds; use at least as many")
    if auto.max > MOST_LOOKS * auto.batch:
        least = -(-auto.max // MOST_LOOKS)
        raise ConfigError(f"auto.batch={auto.batch}: up to auto.max={auto.max}, that is over {MOST_LOOKS} looks; use at least {least}")


def auto_together(configs: Sequence[Config]) -> bool:
    """Whether the runs of these configurations are compared as they are trained. Raises ConfigError when they cannot be."""
    if all(config.rounds != AUTO for config in configs):
        return False
    first = configs[0]
    for config in configs[1:]:
        if (config.rounds, config.auto) != (first.rounds, first.auto):
            raise ConfigError("rounds=auto: all runs of the sweep need it, with the same auto.margin, auto.batch, auto.max and auto.level")
        if config.seed != first.seed:
            raise ConfigError(
                f"seed={first.seed},{config.seed}: rounds=auto trains the same seeds for every configuration, as many as it takes; "
                f"give one to begin with, as in seed={first.seed}, or a number of rounds"
            )
        if config.data.fold != first.data.fold:
            raise ConfigError(
                f"data.fold={first.data.fold},{config.data.fold}: rounds=auto compares networks, and would take folds for such; give a "
                "number of rounds"
            )
        for key in TESTED:
            one, other = (getattr(each.data, key.removeprefix("data.")) for each in (first, config))
            if one != other:
                raise ConfigError(
                    f"{key}={one},{other}: rounds=auto compares rounds of the same seed, which have other test pairs then; give each a "
                    "sweep of its own, or a number of rounds"
                )
    return True
