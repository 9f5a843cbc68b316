"""How many rounds fit into one stack: whether a network can be stacked at all, and how much memory a round of it takes."""

import torch
from torch import Tensor

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator
from digitcmp.train.losses import extras_of, total_loss
from digitcmp.train.own_optimizer import check_stackable
from digitcmp.train.program import StackedProgram

SHARE = 0.8  # of a GPU's free memory is used
CPU_STACK = 8  # rounds; a larger stack is no faster on a CPU
COPIES = 4  # of every parameter: itself, its gradient, and two moments of the optimiser
AUGMENTED = 12  # copies of the training pairs where they are augmented: points and displacements are two numbers a pixel
PROBE = 2  # rounds are stacked to see what happens
TRIED = (2, 3, 4)  # pairs: batch norm takes no fewer


def free_memory(device: torch.device) -> int | None:
    """Bytes of a GPU that this process can have, those included that it has and does not use; None for anything else."""
    if device.type != "cuda":
        return None
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def stack_limit(config: Config, free: float | None, rounds: int | None = None, places: int = 1) -> int:
    """How many rounds of this configuration make a stack: stack_size, or as many as the free memory of a GPU takes (None: of a CPU); no
    more than leaves as many for each of the other places, where it is known how many rounds there are.

    Raises ConfigError when the network cannot be stacked.
    """
    needed = round_memory(config)
    if config.stack_size:
        return config.stack_size
    most = CPU_STACK if free is None else max(1, int(SHARE * free / needed))
    return most if rounds is None else max(1, min(most, -(-rounds // places)))


def round_memory(config: Config) -> int:
    """Bytes that one round of a stack takes while it trains: what a step keeps for the backward pass is added up, and the backward pass
    takes about as much again.

    Raises ConfigError when the network cannot be stacked, or an optimiser of others.
    """
    data = config.data
    try:
        networks = [build(config.model, generator(0, Stream.WEIGHTS), torch.device("cpu"), data.size) for _ in range(PROBE)]
        program = StackedProgram(networks)
        program.train(True)
        saved = saved_for(config, program, config.batch_size)
        check_stackable(config.optimizer)
    except DigitcmpError:
        raise
    except Exception as error:  # a block or a loss of others may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if not isinstance(error, RuntimeError | ValueError | TypeError):  # whose text may be as little as a name
            reason = f"{type(error).__name__}: {reason}"
        raise ConfigError(
            f"engine=stacked: {config.model.name} cannot be stacked ({reason}); use engine=serial or engine=processes"
        ) from error
    copies = AUGMENTED if config.augment.kind != "none" else 2  # of the training pairs: as drawn, and in the order of the epoch
    pairs = copies * config.ensemble * (data.train_pairs - data.val_pairs) + data.val_pairs + (data.test_pairs if config.test else 0)
    weights = sum(parameter.numel() * 4 for group in program.parameters() for parameter in group) // PROBE
    network = (COPIES + 2 * (config.ema > 0)) * weights + 2 * saved // PROBE
    return pairs * 2 * data.size**2 * 4 + config.ensemble * network


def saved_for(config: Config, program: StackedProgram, batch: int) -> int:
    """Bytes that a step with so many pairs keeps for its backward pass, all rounds together. A large batch is not tried: what a step keeps
    grows with the pairs, or (a loss of all with all) with their square, so that three small ones say it."""
    if batch <= TRIED[-1]:
        return saved_by(config, program, max(batch, TRIED[0]))
    few, some, more = (saved_by(config, program, size) for size in TRIED)
    square, beyond = (more - 2 * some + few) // 2, batch - TRIED[0]
    return few + beyond * (some - few) + beyond * (beyond - 1) * square


def saved_by(config: Config, program: StackedProgram, batch: int) -> int:
    """The same, of a step that is made."""
    images = torch.zeros(PROBE, batch, 2, config.data.size, config.data.size)
    target, digits = (torch.zeros(shape, dtype=torch.int64) for shape in (images.shape[:2], images.shape[:3]))
    noise, turn = torch.zeros(PROBE, program.dropouts, dtype=torch.int32), torch.zeros(PROBE, dtype=torch.bool)
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor  # kept, so that no other one comes to lie where it was
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = program(images, noise)
        losses = total_loss(outputs, target, digits, config.aux_weight, config.label_smoothing, extras_of(config), turn)
    assert losses.shape == (PROBE,)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
