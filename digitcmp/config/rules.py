"""Rules that concern several keys at once. Each raises ConfigError with one line; none needs torch."""

from collections.abc import Sequence

from digitcmp.config.schema import AUTO, COLUMNS, MOST_LOOKS, Config, ConvLayer
from digitcmp.errors import ConfigError


def check_rules(config: Config) -> None:
    """Raise ConfigError for the first rule that the configuration breaks."""
    network_reads_the_image(config)
    norm_and_dropout_have_layers(config)
    comparator_has_input(config)
    auxiliary_loss_is_possible(config)
    pairs_are_of_use(config)
    columns_have_networks(config)
    test_batches_are_of_use(config)
    optimizer_is_consistent(config)
    rounds_fit_the_engine(config)
    auto_can_look(config)


def output_size(tower: Sequence[ConvLayer], size: int = 14) -> int:
    """Height (and width) of what a tower leaves of an image with this height."""
    for layer in tower:
        size = (size + 2 * layer.padding - layer.kernel + 1) // layer.pool
    return size


def network_reads_the_image(config: Config) -> None:
    """The tower exists and fits into the image. One per digit either shares its weights or not; a joint one has nothing to share."""
    model = config.model
    if not model.tower:
        raise ConfigError(f"model={model.name}: model.tower needs at least one layer")
    for number in range(len(model.tower)):
        if output_size(model.tower[: number + 1]) < 1:
            raise ConfigError(f"model.tower[{number}]: nothing is left of the image after this layer; use a smaller kernel or pool")
    value = "null" if model.weight_sharing is None else str(model.weight_sharing).lower()
    if model.joint and model.weight_sharing is not None:
        raise ConfigError(
            f"model.weight_sharing={value}: {model.name} has one joint tower over both digits, so there is nothing to share; leave it null"
        )
    if not model.joint and model.weight_sharing is None:
        raise ConfigError(f"model.weight_sharing={value}: {model.name} looks at one digit at a time; choose true or false")
    if model.joint and (model.digit_dense or model.digit_head.reads == "digit"):
        raise ConfigError(f"model.joint=true: {model.name} has parts that read one digit (model.digit_dense, model.digit_head.reads=digit)")


def norm_and_dropout_have_layers(config: Config) -> None:
    """Switching on batch norm or dropout does something, or is refused."""
    model = config.model
    dense = [*model.digit_dense, *model.joint_dense]
    marked = [layer.norm for layer in model.tower] + [layer.norm for layer in dense] + [model.digit_head.norm, model.comparator.norm]
    if model.batchnorm and not any(marked):
        raise ConfigError(f"model.batchnorm=true: no layer of {model.name} is marked norm: true, so there is no place for it")
    if model.dropout > 0 and not any([*(layer.drop for layer in dense), model.digit_head.drop]):
        raise ConfigError(f"model.dropout={model.dropout}: no layer of {model.name} is marked drop: true, so there is no place for it")


def comparator_has_input(config: Config) -> None:
    """A comparator that reads digits needs a digit head; one without parameters answers what is asked, with one logit."""
    reads = config.model.comparator.reads
    head = config.model.digit_head.reads
    if reads != "features" and head == "none":
        which = "digit" if reads == "posterior" else "digit or joint"
        raise ConfigError(f"model.comparator.reads={reads}: {config.model.name} has no digit head; set model.digit_head.reads to {which}")
    if reads == "posterior":
        posterior_is_possible(config)
    elif config.model.comparator.temperature != 1:
        raise ConfigError(
            f"model.comparator.temperature={config.model.comparator.temperature}: is for model.comparator.reads=posterior, not {reads}"
        )


def posterior_is_possible(config: Config) -> None:
    """A comparison without parameters needs a head per digit, the question that is asked, and nothing that it would not use."""
    comparator, head = config.model.comparator, config.model.digit_head.reads
    if head != "digit":
        raise ConfigError(
            f"model.digit_head.reads={head}: model.comparator.reads=posterior compares the digits, which are the same for both; "
            "set model.digit_head.reads=digit"
        )
    if comparator.target != config.data.target:
        raise ConfigError(
            f"model.comparator.target={comparator.target}: the question is data.target={config.data.target}; give both the same value"
        )
    if comparator.outputs != 1 or comparator.norm or comparator.relu:
        raise ConfigError("model.comparator.reads=posterior: has no layer; leave model.comparator.outputs=1, and norm and relu false")
    if config.model.joint_dense:
        raise ConfigError("model.comparator.reads=posterior: nothing would read model.joint_dense; make it [], or choose features")


def auxiliary_loss_is_possible(config: Config) -> None:
    """The auxiliary loss needs a digit head, and a detached comparator needs the auxiliary loss."""
    model = config.model
    if config.aux_weight > 0 and model.digit_head.reads == "none":
        raise ConfigError(
            f"aux_weight={config.aux_weight}: {model.name} has no digit head to weigh; use aux_weight=0, or a network such as wsn"
        )
    if config.aux_weight == 0 and model.comparator.detach and model.comparator.reads == "posterior":
        raise ConfigError(
            f"aux_weight=0: nothing would train {model.name}, whose answer follows from its digits; use aux_weight=1, "
            "or model.comparator.detach=false to train them by the comparison alone"
        )
    if config.aux_weight == 0 and model.comparator.detach:
        raise ConfigError(f"aux_weight=0: {model.name} has a detached comparator: its digit part would never train; use aux_weight=1")


def pairs_are_of_use(config: Config) -> None:
    """There is at least one whole batch of training pairs after validation; a network that is not tested is at least validated."""
    data, batch = config.data, config.batch_size
    if data.val_pairs >= data.train_pairs:
        raise ConfigError(f"data.val_pairs={data.val_pairs}: must leave some of data.train_pairs={data.train_pairs} to train on")
    pairs = data.train_pairs - data.val_pairs
    if batch > pairs:
        raise ConfigError(f"batch_size={batch}: there are {pairs} training pairs; use at most {pairs}")
    if config.model.batchnorm and (batch == 1 or pairs % batch == 1):
        raise ConfigError(
            f"batch_size={batch}: {pairs} pairs leave a batch of one pair, for which batch norm is not defined; use another batch size"
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
    if batch is not None and batch > max(tested.values()):
        raise ConfigError(f"test_batch={batch}: there are {max(tested.values())} pairs to be tested on; use at most so many")
    if not (config.model.batch_statistics and config.model.batchnorm):
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
        raise ConfigError(f"{columns}: ensemble={config.ensemble} networks cannot take turns at them; use ensemble={len(config.columns)}")


def optimizer_is_consistent(config: Config) -> None:
    """Nesterov's momentum needs momentum; Adam's betas are fractions; a comparator with a learning rate has parameters."""
    optimizer = config.optimizer
    if optimizer.comparator_lr is not None and config.model.comparator.reads == "posterior":
        raise ConfigError(f"optimizer.comparator_lr={optimizer.comparator_lr}: the comparator of {config.model.name} has no parameters")
    if getattr(optimizer, "nesterov", False) and getattr(optimizer, "momentum", 0) == 0:
        raise ConfigError("optimizer.nesterov=true: needs optimizer.momentum above 0")
    for beta in getattr(optimizer, "betas", ()):
        if not 0 <= beta < 1:
            raise ConfigError(f"optimizer.betas={list(getattr(optimizer, 'betas', ()))}: each must be at least 0 and below 1")


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
    return True
