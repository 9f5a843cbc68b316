"""What every network promises: functions of a configuration, which raise AssertionError where it is not kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from digitcmp.config.comparators import READINGS
from digitcmp.config.network import layers
from digitcmp.config.rules import check_rules
from digitcmp.config.schema import SIZE, Adam, Config, ModelConfig
from digitcmp.config.sizes import parameters
from digitcmp.model.network import PairNetwork, build
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.losses import Extras, total_loss
from digitcmp.train.optimizer import make_optimizer
from digitcmp.train.program import SequentialProgram, SingleProgram, StackedProgram
from digitcmp.train.round import train_rounds

CPU = torch.device("cpu")


def aux_weight(model: ModelConfig) -> float:
    """1 where there are digits to train."""
    return float(model.digit_head.reads != "none" or bool(model.aux_heads))


def variant(config: Config, **changes: Any) -> ModelConfig:
    """The network with some of its keys changed, checked as a composed configuration is."""
    model = replace(config.model, **changes)
    check_rules(replace(config, model=model, optimizer=Adam(lr=0.001), aux_weight=aux_weight(model)))
    return model


def extras(model: ModelConfig) -> Extras:
    """What the loss of a network has to know of it."""
    return Extras(heads=[head.weight for head in model.aux_heads])


def fresh(model: ModelConfig, seed: int = 0, size: int = SIZE) -> PairNetwork:
    """The network of the round with this seed, for digits of so many pixels a side."""
    return build(model, generator(seed, Stream.WEIGHTS), CPU, size)


def some_pairs(model: ModelConfig, count: int = 20, size: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Images [1, count, 2, size, size], target [1, count] and digits [1, count, 2], the same in every call."""
    random = torch.Generator().manual_seed(7)
    digits = torch.randint(10, (1, count, 2), generator=random)
    first, second = digits.unbind(dim=2)
    target = (first >= second).long() + (first > second).long() if model.comparator.outputs == 3 else (first <= second).long()
    return torch.randn(1, count, 2, size, size, generator=random), target, digits


def fit(model: ModelConfig, steps: int, size: int = SIZE) -> list[float]:
    """The loss of a fresh network before each of some training steps on one batch."""
    program, (images, target, digits) = SingleProgram(fresh(model, size=size)), some_pairs(model, size=size)
    optimizer = make_optimizer(program, "Adam", lr=0.002, comparator_lr=None, options={})
    losses = []
    for noise in step_keys(0, Stream.DROPOUT, steps, program.dropouts):
        loss = total_loss(program(images, noise[None]), target, digits, aux_weight(model), extras=extras(model))
        optimizer.zero_grad()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


def gradients(model: ModelConfig, weight: float, size: int = SIZE) -> dict[str, Tensor | None]:
    """The gradient of every parameter, by name. weight: of the auxiliary loss."""
    network, (images, target, digits) = fresh(model, size=size), some_pairs(model, size=size)
    loss = total_loss(SingleProgram(network)(images, None), target, digits, weight, extras=extras(model))
    if loss.requires_grad:  # nothing at all is trained where the comparison has no parameters and reads a copy
        loss.sum().backward()  # type: ignore[no-untyped-call]
    return {key: parameter.grad for key, parameter in network.named_parameters()}


def parameters_are_counted(config: Config) -> None:
    """The number of parameters that is told, before torch is needed, is that of the network that is built."""
    told = parameters(config.model, config.data.size)
    built = sum(one.numel() for one in fresh(config.model, size=config.data.size).parameters())
    assert told == built, f"{told:,} are told and {built:,} are built; correct the parameters in the Core that a block's core returns"


def outputs_have_their_shapes(config: Config) -> None:
    """Comparison [B, 1 to 3]; digits [B, 2, 10], or None exactly where there is no digit head; for one pair, too."""
    model, size = config.model, config.data.size
    for pairs in (1, 2, 7):
        outputs = fresh(model, size=size).eval()(some_pairs(model, pairs, size)[0][0])
        found = (tuple(outputs.comparison.shape), None if outputs.digits is None else tuple(outputs.digits.shape))
        right = ((pairs, model.comparator.outputs), None if model.digit_head.reads == "none" else (pairs, 2, 10))
        assert found == right, f"of {pairs} pairs, comparison and digits are {found} and not {right}; keep the first dimension, of images"


def training_lowers_the_loss(config: Config) -> None:
    """A few steps on one batch bring its loss down."""
    losses = fit(config.model, 8, config.data.size)
    assert losses[-1] < 0.97 * losses[0], (
        f"it goes from {losses[0]:.3f} to {losses[-1]:.3f} in 8 steps of Adam; look for what stops gradients (detach, no_grad, rounding, a "
        "saturated activation), and at how weights begin"
    )


def batch_norm_and_dropout_fit(config: Config) -> None:
    """Where layers are marked for them, both can be switched on, are there, and leave the network able to learn."""
    marked = {name: marks(config.model, name) for name in ("norm", "drop")}
    model = variant(config, batchnorm=marked["norm"], dropout=0.3 if marked["drop"] else 0.0)
    network = fresh(model, size=config.data.size)
    normed = any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())
    assert bool(network.dropouts) or not marked["drop"], "no dropout is built where layers are marked drop; build it, or leave the mark out"
    assert normed or not marked["norm"], "no batch norm is built where layers are marked norm; build it, or leave the mark out"
    losses = fit(model, 15, config.data.size)
    assert sum(losses[-3:]) < 0.97 * sum(losses[:3]), (
        f"with both on, the loss goes from {losses[0]:.3f} to {losses[-1]:.3f} in 15 steps; mark fewer layers, or none so near the answer"
    )


def some(names: list[str]) -> str:
    """The first of these names, and how many others there are."""
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"


def marks(model: ModelConfig, name: str) -> bool:
    """Whether anything in a network is marked for batch norm (norm) or dropout (drop)."""
    return any(getattr(layer, name, False) is True for layer in (*layers(model), model.digit_head, model.comparator))


def the_order_of_the_digits_matters(config: Config) -> None:
    """Swapping the digits changes the comparison; digits read one by one swap, digits read jointly stay alike."""
    model, images = config.model, some_pairs(config.model, size=config.data.size)[0][0]
    network = fresh(model, size=config.data.size).eval()
    outputs, swapped = network(images), network(images.flip(1))
    change = (outputs.comparison - swapped.comparison).abs().max().item()
    # which digits a fresh network names may be the same whatever it sees
    assert change > 1e-4 or not READINGS[model.comparator.reads].gradient, (
        f"the answer is the same to {change:.1g}; the digits must not be added or averaged before they are compared"
    )
    if model.digit_head.reads == "digit" and model.weight_sharing and not model.own_dense:
        words = "the logits of a digit depend on the other one, or on its place; a block sees one digit at a time, an image or a row of n"
        torch.testing.assert_close(swapped.digits, outputs.digits.flip(1), rtol=0, atol=1e-6, msg=words)
        alike = "the logits of both digits are the same whatever these are; something before the head loses the images"
        assert (outputs.digits - swapped.digits).abs().max() > 1e-3, alike
    elif model.digit_head.reads == "joint":
        for found in (outputs.digits, swapped.digits):
            assert torch.equal(found[:, 0], found[:, 1]), "digits that are read jointly differ; nothing may change after the head"


def every_parameter_gets_a_gradient(config: Config) -> None:
    """With the auxiliary loss (where there is a digit head), nothing is left out of training."""
    found = gradients(config.model, aux_weight(config.model), config.data.size)
    without = [key for key, grad in found.items() if grad is None or not grad.abs().max() > 0]
    assert not without, f"{some(without)} {'get' if len(without) > 1 else 'gets'} none; use it in forward, or do not make it"


def batch_norm_gets_gradients_too(config: Config) -> None:
    """Every norm is passed through and learns. (Biases just before a norm have gradients that are zero but for rounding.)"""
    if not marks(config.model, "norm"):
        return
    found = gradients(variant(config, batchnorm=True), aux_weight(config.model), config.data.size)
    without = [key for key, grad in found.items() if grad is None or (".norm" in key and not grad.abs().max() > 0)]
    assert not without, f"with model.batchnorm=true, {some(without)} get none; pass everything through the norm"
    assert any(".norm" in key for key in found), "with model.batchnorm=true there is no norm; build it where a layer is marked norm"


def nothing_is_drawn_from_the_global_generator(config: Config) -> None:
    """Building and training, dropout included, leave torch's own generator alone."""
    model = variant(config, dropout=0.3) if marks(config.model, "drop") else config.model
    before = torch.get_rng_state()
    fit(model, 1, config.data.size)
    assert torch.equal(torch.get_rng_state(), before), (
        "something is drawn from it; weights are drawn in `initialise(self, random)`, from that generator, and nothing in forward"
    )


def weights_follow_from_the_seed(config: Config) -> None:
    """The same seed gives the same weights; another seed other ones, in every convolution and linear layer."""
    first, again, other = (fresh(variant(config, batchnorm=False), seed, config.data.size) for seed in (0, 0, 1))
    unlike = [key for key, tensor in first.state_dict().items() if not torch.equal(tensor, again.state_dict()[key])]
    assert not unlike, f"{some(unlike)} differ between two networks of one seed; draw them in `initialise(self, random)`"
    others = dict(other.named_parameters())
    for name, module in first.named_modules():
        for key, one in module.named_parameters(f"{name}.", recurse=False) if isinstance(module, nn.Conv2d | nn.Linear) else ():
            if not (config.model.zero_bias and key.endswith(".bias")):
                assert not torch.equal(one, others[key.replace("..", ".")]), (
                    f"{key} is the same for another seed; leave how it begins to us"
                )


def a_stack_computes_what_each_does_alone(config: Config) -> None:
    """See `stacked_as_alone`, with dropout where layers are marked for it."""
    stacked_as_alone(variant(config, dropout=0.3) if marks(config.model, "drop") else config.model, config.data.size)


def stacked_as_alone(model: ModelConfig, size: int = SIZE) -> None:
    """Two networks as one tensor program, in training and in evaluation; and the trained state fits a network again."""
    networks, images = [fresh(model, seed, size) for seed in (0, 1)], some_pairs(model, 10, size)[0].view(2, 5, 2, size, size)
    noise = torch.stack([step_keys(seed, Stream.DROPOUT, 1, len(networks[0].dropouts))[0] for seed in (0, 1)])
    alone, stacked = SequentialProgram(networks), StackedProgram(networks)
    for training in (True, False):
        alone.train(training)
        stacked.train(training)
        keys = noise if training else None
        words = (
            f"answers differ in {'training' if training else 'evaluation'}; in forward, a block must not change itself, branch on values, "
            "draw random numbers or assume how many images there are"
        )
        torch.testing.assert_close(alone(images, keys).comparison, stacked(images, keys).comparison, rtol=1e-3, atol=1e-4, msg=words)
    again = PairNetwork(model, size).eval()
    again.load_state_dict(alone.state(0))
    words = "a network with the same weights answers otherwise; make what it needs a parameter or a buffer"
    torch.testing.assert_close(again(images[0]).comparison, networks[0].eval()(images[0]).comparison, rtol=1e-3, atol=1e-4, msg=words)


def a_round_goes_on_from_its_checkpoint(config: Config) -> None:
    """Stopped after its first epoch, a round ends with the rows and the network of one that nobody stopped."""
    small = replace(
        config, aux_weight=aux_weight(config.model), epochs=2, batch_size=20, test_batch=20, checkpoint_every=1, save_model=True
    )
    small.data = replace(config.data, source="digits", root=None, fingerprint=None, train_pairs=60, val_pairs=0, test_pairs=40)
    kept: list[Any] = []
    (whole,) = train_rounds(small, [0], CPU, lambda *_: True, on_checkpoint=lambda found: kept.append(found[0]))
    (again,) = train_rounds(small, [0], CPU, lambda *_: True, checkpoints=kept)
    assert whole is not None
    assert again is not None
    failed = whole.row.error or again.row.error
    assert whole.row.status == again.row.status == "done", f"the round failed ({failed}); mend that first"
    words = "{} not those of one that nobody stopped; whatever changes in training must be a parameter or a buffer"
    epochs = [[replace(row, seconds=0) for row in one.epochs] for one in (whole, again)]
    assert epochs[0] == epochs[1], words.format("its epochs are")
    assert whole.network == again.network, words.format("its weights are")


PROMISES: dict[str, Callable[[Config], None]] = {
    promise.__name__: promise
    for promise in (
        parameters_are_counted,
        outputs_have_their_shapes,
        training_lowers_the_loss,
        batch_norm_and_dropout_fit,
        the_order_of_the_digits_matters,
        every_parameter_gets_a_gradient,
        batch_norm_gets_gradients_too,
        nothing_is_drawn_from_the_global_generator,
        weights_follow_from_the_seed,
        a_stack_computes_what_each_does_alone,
        a_round_goes_on_from_its_checkpoint,
    )
}
