"""Rules that concern a network: its parts fit together, each is read, and each is trained. None needs torch."""

from collections.abc import Iterator
from itertools import chain, dropwhile
from typing import Any

from digitcmp.config.blocks import BLOCKS, Layer
from digitcmp.config.comparators import READINGS
from digitcmp.config.graph import graph, left_out, resolved
from digitcmp.config.registry import LOSSES
from digitcmp.config.schema import Config, ModelConfig
from digitcmp.config.targets import TARGETS
from digitcmp.errors import ConfigError


def check_network(config: Config) -> None:
    """Raise ConfigError for the first rule that the network breaks."""
    network_reads_the_image(config)
    norm_and_dropout_have_layers(config)
    comparator_has_input(config)
    pairs_are_of_two_digits(config)
    every_part_has_a_reader(config)
    auxiliary_loss_is_possible(config)
    loss_is_possible(config)


def layers(model: ModelConfig) -> Iterator[Layer]:
    """All layers of a network but the last ones of its heads."""
    yield from model.tower
    heads: list[Any] = [model.digit_head, model.comparator, *model.aux_heads]
    for dense in (model.digit_dense, model.joint_dense, *(head.hidden for head in heads)):
        yield from dense


def batch_norm(model: ModelConfig) -> bool:
    """Whether anything in a network depends on the batch that it is in."""
    heads = [model.digit_head.norm, model.comparator.norm]
    return (model.batchnorm and any(heads)) or any(resolved(layer, model).norm.startswith("batch") for layer in layers(model))


def drops(model: ModelConfig) -> bool:
    """Whether anything in a network is left out in training."""
    return any(resolved(layer, model).drop > 0 for layer in layers(model)) or (model.dropout > 0 and any(head_drops(model)))


def head_drops(model: ModelConfig) -> tuple[bool, ...]:
    """Where the heads of a network are marked for dropout."""
    return model.digit_head.drop, model.digit_head.drop_logits, model.comparator.drop_logits


def network_reads_the_image(config: Config) -> None:
    """There is a layer. One per digit either shares its weights or not; a joint one has nothing to share."""
    model = config.model
    if not [*layers(model)]:
        raise ConfigError(f"model={model.name}: model.tower needs at least one layer, or model.digit_dense or model.joint_dense")
    value = "null" if model.weight_sharing is None else str(model.weight_sharing).lower()
    if model.joint and model.weight_sharing is not None:
        raise ConfigError(
            f"model.joint=true, model.weight_sharing={value}: a joint tower sees both digits, so that there is nothing to share; choose "
            "model.weight_sharing=null, or model.joint=false"
        )
    if not model.joint and model.weight_sharing is None:
        raise ConfigError(f"model.weight_sharing={value}: {model.name} looks at one digit at a time; choose true or false")
    if model.own_dense and not model.weight_sharing:
        raise ConfigError("model.own_dense=true: is for digits that share a tower; choose model.weight_sharing=true, or leave it out")
    if model.shared_norm and model.weight_sharing is not False:
        raise ConfigError(
            "model.shared_norm=true: is for digits that have a tower each; choose model.weight_sharing=false, or leave it out"
        )
    of_each: list[Any] = [*model.tower, *model.digit_dense, model.digit_head]
    if model.shared_norm and not any(layer.norm for layer in of_each):
        raise ConfigError(f"model.shared_norm=true: no layer of {model.name} that reads one digit has a norm")
    if model.joint and (model.digit_dense or model.digit_head.reads == "digit"):
        raise ConfigError(f"model.joint=true: {model.name} has parts that read one digit (model.digit_dense, model.digit_head.reads=digit)")


def norm_and_dropout_have_layers(config: Config) -> None:
    """Switching on batch norm or dropout does something, or is refused."""
    model = config.model
    whole: list[Any] = [*layers(model), model.digit_head, model.comparator]
    if model.batchnorm and not any(layer.norm is True for layer in whole):
        raise ConfigError(f"model.batchnorm=true: no layer of {model.name} is marked norm: true, so there is no place for it")
    if model.dropout > 0 and not any(layer.drop is True for layer in layers(model)) and not any(head_drops(model)):
        raise ConfigError(f"model.dropout={model.dropout}: no layer of {model.name} is marked drop: true, so there is no place for it")


def comparator_has_input(config: Config) -> None:
    """A comparator that reads digits needs a digit head; one without parameters answers what is asked, with one logit."""
    reads = config.model.comparator.reads
    head = config.model.digit_head.reads
    reading = READINGS[reads]
    if reading.of == "digits" and head == "none":
        which = "digit" if reading.apart else "digit or joint"
        raise ConfigError(f"model.comparator.reads={reads}: {config.model.name} has no digit head; set model.digit_head.reads to {which}")
    if reading.apart and head != "digit":
        raise ConfigError(
            f"model.digit_head.reads={head}: model.comparator.reads={reads} compares the digits, which are the same for both; "
            "set model.digit_head.reads=digit"
        )
    if reading.of == "each" and config.model.joint:
        raise ConfigError(f"model.comparator.reads={reads}: {config.model.name} has one joint tower, and no features of each digit")
    if reads == "posterior":
        posterior_is_possible(config)
    three, outputs = TARGETS[config.data.target].outputs == 3, config.model.comparator.outputs
    if three != (outputs == 3):
        wanted = 3 if three else "1 or 2"
        raise ConfigError(f"model.comparator.outputs={outputs}: data.target={config.data.target} needs {wanted}")
    if reads != "posterior" and config.model.comparator.temperature != 1:
        raise ConfigError(
            f"model.comparator.temperature={config.model.comparator.temperature}: is for model.comparator.reads=posterior, not {reads}"
        )


def pairs_are_of_two_digits(config: Config) -> None:
    """A block that reads the features of two digits side by side has them: it comes first in model.joint_dense, of a network that looks at
    one digit at a time, or behind another such block."""
    model = config.model

    def of_pairs(layer: Layer) -> bool:
        return (block := BLOCKS.get(layer.kind)) is not None and block.pair

    heads: list[Any] = [model.digit_head, model.comparator, *model.aux_heads]
    joint = model.joint_dense if model.joint else [*dropwhile(of_pairs, model.joint_dense)]
    for layer in chain(joint, model.digit_dense, *(head.hidden for head in heads)):
        if of_pairs(layer):
            raise ConfigError(
                f"kind={layer.kind}: reads the features of two digits side by side; put it first in model.joint_dense of a network that "
                "looks at one digit at a time (model.joint=false)"
            )


def posterior_is_possible(config: Config) -> None:
    """A comparison without parameters needs a head per digit, the question that is asked, and nothing that it would not use."""
    comparator = config.model.comparator
    if config.data.target == "three":
        raise ConfigError(
            "data.target=three: model.comparator.reads=posterior tells two answers apart; choose le, gt or same, or other reads"
        )
    if comparator.target != config.data.target:
        raise ConfigError(
            f"model.comparator.target={comparator.target}: the question is data.target={config.data.target}; give both the same value"
        )
    if comparator.outputs != 1 or comparator.norm or comparator.relu or comparator.drop_logits or comparator.hidden:
        raise ConfigError(
            "model.comparator.reads=posterior: has no layer; leave model.comparator.outputs=1, norm, relu and drop_logits false, and "
            "hidden empty"
        )


def every_part_has_a_reader(config: Config) -> None:
    """From every part of the network a way leads to its answer or to the loss of its digits, and a gradient comes back."""
    model, head = config.model, config.model.digit_head
    found = graph(model, config.data.size)
    reads = f"model.comparator.reads={model.comparator.reads}"
    for part in left_out(found):
        raise ConfigError(f"nothing would read {part.name}, as {reads}; leave it out, or choose model.comparator.reads=features")
    for part in left_out(found, gradients=True):
        raise ConfigError(f"nothing would train {part.name}, as {reads} with model.comparator.detach=true reads a copy; leave it out")
    if head.reads == "none" and (given := [name for name in ("relu", "norm", "drop", "drop_logits", "hidden") if getattr(head, name)]):
        raise ConfigError(f"model.digit_head.{given[0]}: there is no digit head that would have it, as model.digit_head.reads=none")


def loss_is_possible(config: Config) -> None:
    """Whatever has a weight in the loss is there, and something is trained."""
    loss, model = config.loss, config.model
    for number, term in enumerate(loss.terms):
        LOSSES.check(f"loss.terms[{number}].loss={term.loss}", term.loss, "loss")
    if loss.terms and model.joint:
        raise ConfigError(f"loss.terms: {model.name} has one joint tower, and no features of each digit that could be compared")
    if loss.combine != "sum" and config.aux_weight == 0:
        raise ConfigError(f"loss.combine={loss.combine}: there is one loss alone; use aux_weight=1")
    if loss.comparison == 0 and (config.aux_weight == 0 or model.comparator.reads != "posterior"):
        raise ConfigError(
            f"loss.comparison=0.0: nothing would train the comparator of {model.name}; it needs one without parameters "
            "(model.comparator.reads=posterior), and aux_weight=1"
        )
    if loss.balance and model.comparator.outputs == 1:
        raise ConfigError("loss.balance=true: weighs answers of two or three logits; use model.comparator.outputs=2")


def auxiliary_loss_is_possible(config: Config) -> None:
    """The auxiliary loss needs a digit head, and a detached comparator needs the auxiliary loss."""
    model = config.model
    if model.aux_heads and model.joint:
        raise ConfigError(f"model.aux_heads: {model.name} has one joint tower, of which no layer reads one digit")
    if model.aux_heads and config.aux_weight == 0:
        raise ConfigError(f"aux_weight=0: nothing would train model.aux_heads of {model.name}; use aux_weight=1")
    if config.aux_weight > 0 and model.digit_head.reads == "none" and not model.aux_heads:
        raise ConfigError(
            f"aux_weight={config.aux_weight}: {model.name} has no digit head to weigh; use aux_weight=0, or a network such as wsn"
        )
    if config.aux_weight == 0 and model.comparator.detach and model.comparator.reads == "posterior":
        raise ConfigError(
            f"aux_weight=0: nothing would train {model.name}, whose answer follows from its digits; use aux_weight=1, "
            "or model.comparator.detach=false to train them by the comparison alone"
        )
    if config.aux_weight == 0 and (model.comparator.detach or not READINGS[model.comparator.reads].gradient):
        raise ConfigError(f"aux_weight=0: {model.name} has a detached comparator: its digit part would never train; use aux_weight=1")


def untrained_part(config: Config) -> str | None:
    """A digit head that nothing trains, as the loss of digits has no weight and the comparator does not read it: what is left without its
    auxiliary loss, for a comparison. None where all is trained."""
    model = config.model
    return "model.digit_head" if is_idle(config.aux_weight, model.digit_head.reads, model.comparator.reads) else None


def is_idle(aux_weight: float, head: str, comparator: str) -> bool:
    """Whether there is a digit head that neither the loss of digits trains nor the comparator reads. head, comparator: what they read; one
    that only a later version knows may be of digits."""
    return aux_weight == 0 and head != "none" and comparator in READINGS and READINGS[comparator].of != "digits"
