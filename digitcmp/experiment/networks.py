"""Trained networks back from disk."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from digitcmp.config.identity import configuration
from digitcmp.config.network import batch_norm, drops
from digitcmp.config.recorded import of_run
from digitcmp.config.schema import Config, ModelConfig
from digitcmp.config.taken import OTHERWISE, other_code, plugins_of
from digitcmp.config.targets import TARGETS
from digitcmp.data.transforms import find_columns
from digitcmp.errors import ConfigError, DataError, DigitcmpError, RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.kept import kept_seed
from digitcmp.experiment.store import network_path
from digitcmp.files import is_special
from digitcmp.given import folder_of, whole_of
from digitcmp.inert import line
from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.seeding import MemberSeed
from digitcmp.train.evaluate import BATCH, decide, dropout_keys, make_predictor
from digitcmp.train.program import make_program
from digitcmp.train.round import first_line
from digitcmp.train.saved import unpack


class TrainedNetwork(nn.Module):
    """What a round trained: a pair network, or an ensemble of them, with the normalisation of the training images, in evaluation mode.

    It answers as it was tested: averaged over its networks, each of which sees its own column, and over shifted views.
    """

    def __init__(self, networks: Sequence[PairNetwork], mean: Tensor, std: Tensor, seed: int, config: Config) -> None:
        """config: that of the run."""
        super().__init__()
        self.networks, self.seed, self.target = nn.ModuleList(networks), seed, config.data.target
        self.size = config.data.size  # of its digits, in pixels
        self.test_batch = config.test_batch or BATCH  # pairs at a time in its test
        self.mean, self.std, self.normalized = nn.Buffer(mean), nn.Buffer(std), config.data.normalize_test
        self.packages = [f"{name} {version}" for name, version in plugins_of({"model": configuration(config)["model"]}).items()]
        self.batchwise = batchwise(config.model)
        program, columns = make_program(networks, together=False), find_columns(config.columns)
        self.predictor = make_predictor(program, len(networks), config.tta_shift, columns)
        members = [MemberSeed(seed, member) for member in range(len(networks))]
        tested = max(config.data.test_pairs, config.data.val_pairs)
        noise = dropout_keys(config.model.test_dropout, members, program.dropouts, tested, self.test_batch)
        self.noise = None if noise is None else nn.Buffer(noise)
        self.eval()

    def forward(self, images: Tensor) -> Outputs:
        """Grey images [B, 2, s, s] in [0, 1], not normalised -> comparison logits [B, 1 to 3], digit logits [B, 2, 10] or None. They are
        normalised where those of its test were. Raises RunError for a network that has no answer for a pair alone (see `batchwise`)."""
        if self.batchwise:
            raise RunError(self.batchwise)
        return self.forward_tested((images - self.mean) / self.std if self.normalized else images)

    def forward_tested(self, images: Tensor, batch: int = 0) -> Outputs:
        """As `forward`, for images as a round's test pairs have them: normalised, unless data.normalize_test=false. batch: which one of the
        test, counted from 0; it matters to model.test_dropout=true alone. Raises RunError where a block of another package fails."""
        try:
            comparison, digits, *_ = self.predictor(images[None], None if self.noise is None else self.noise[batch])
        except (DigitcmpError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if not self.packages:
                raise
            whose = " and ".join(self.packages)
            raise RunError(f"a network with blocks of {whose} cannot answer ({type(error).__name__}: {first_line(error)})") from error
        return Outputs(comparison[0], None if digits is None else digits[0])

    @torch.no_grad()
    def compare(self, images: Tensor | NDArray[Any]) -> Tensor:
        """Whether first <= second (for target gt first > second, for same whether both are of one class): bool [B] for grey images
        [B, 2, s, s] in [0, 1]; for target three, 0 (first < second), 1 or 2: int64 [B]. Raises DataError for what is none of these, and
        RunError as `forward` does."""
        answers = decide(self(self.checked(images)).comparison)
        return answers if TARGETS[self.target].outputs > 2 else answers.bool()

    def checked(self, images: Tensor | NDArray[Any]) -> Tensor:
        """Images as the network takes them. Raises DataError."""
        try:
            if isinstance(images, np.ndarray):  # torch takes no other order of bytes than the machine's
                images = np.require(images, images.dtype.newbyteorder("="), ["C", "W"])
            given = torch.as_tensor(images)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"images: a {type(images).__name__} is no array of pairs of images") from error
        if given.ndim != 4 or given.shape[0] == 0 or given.shape[1:] != (2, self.size, self.size):
            raise DataError(f"images: their shape is {[*given.shape]}; it must be [pairs, 2, {self.size}, {self.size}]")
        if not given.is_floating_point():
            raise DataError(f"images: they are {str(given.dtype).removeprefix('torch.')}; give floats in [0, 1], 0 for paper and 1 for ink")
        if not bool(((given >= 0) & (given <= 1)).all()):  # nor not a number
            raise DataError("images: not all values are in [0, 1], 0 for paper and 1 for ink")
        return given.to(self.mean)


def load_model(run_dir: str | Path, seed: int | None = None) -> TrainedNetwork:
    """The trained network of a run that was started with save_model=true.

    seed: which round's network; None for the run's first. Raises RunError when the directory holds no run, no saved
    networks, or none of this seed. Warns where it has parts of other code now than it was trained with.
    """
    directory = folder_of(run_dir)
    network = load_network(directory, seed)
    if text := other_code(read_about(directory)):
        warnings.warn(line(f"{directory}: {OTHERWISE}: {text}"), UserWarning, stacklevel=2)
    return network


def load_network(directory: Path, seed: int | None = None) -> TrainedNetwork:
    """As `load_model`, without its warning."""
    wanted = kept_seed(directory, None if seed is None else whole_of("seed", seed))
    about, path = read_about(directory, networks=True), network_path(directory, wanted)
    try:
        config = of_run(about, needs=("blocks",))
    except ConfigError as error:
        raise RunError(f"{directory}/run.json: {error}") from error
    try:
        return restore(config, read_state(path), wanted)
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, KeyError, OverflowError, MemoryError) as error:
        raise RunError(f"{path} cannot be read ({first_line(error)}); the round is trained again in another folder") from error


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file. Raises SafetensorError for one that is damaged, where its checksum tells (earlier versions wrote none)."""
    if is_special(path):
        raise OSError("it is no file")
    state, _ = unpack(path.read_bytes())
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        raise SafetensorError("not all of its numbers are finite")
    return state


def restore(config: Config, state: dict[str, Tensor], seed: int) -> TrainedNetwork:
    """The network that a run's configuration declares, with this state. Raises ValueError where the two do not fit."""
    mean, std = state.pop("input.mean"), state.pop("input.std")
    if mean.shape != () or std.shape != () or mean.dtype != std.dtype or mean.dtype != torch.float32 or not std > 0:
        raise ValueError("its normalisation is none")
    with torch.device("meta"):  # nothing is drawn: not from the random numbers of whoever has called
        networks = [PairNetwork(config.model, config.data.size) for _ in range(config.ensemble)]
    for member, network in enumerate(networks):
        begin = f"{member}." if config.ensemble > 1 else ""
        own = {name.removeprefix(begin): state.pop(name) for name in list(state) if name.startswith(begin)}
        kinds = {name: tensor.dtype for name, tensor in network.state_dict().items()}
        if any(tensor.dtype != kinds.get(name, tensor.dtype) for name, tensor in own.items()):
            raise ValueError("its numbers are of another kind")
        fill(network, own)
    if state:
        raise ValueError(f"it has tensors of no network: {', '.join(sorted(state)[:3])}")
    return TrainedNetwork(networks, mean, std, seed, config)


def fill(network: PairNetwork, saved: dict[str, Tensor]) -> None:
    """Give a network without numbers those that were saved. A module under two names is saved under one, and buffers that torch does not
    save are saved here. Raises what torch raises where they do not fit."""
    whole = dict([*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)])
    named = {id(tensor): name for name, tensor in whole.items() if name in saved}
    others = {name: named[id(tensor)] for name, tensor in whole.items() if name not in saved and id(tensor) in named}
    apart = saved.keys() & whole.keys() - network.state_dict().keys()
    network.load_state_dict(
        {**{name: tensor for name, tensor in saved.items() if name not in apart}, **{name: saved[one] for name, one in others.items()}},
        assign=True,
    )
    for name in apart:
        if saved[name].shape != whole[name].shape:
            raise ValueError(f"{name} has another shape")
        of, _, last = name.rpartition(".")
        setattr(network.get_submodule(of), last, saved[name])


def batchwise(model: ModelConfig) -> str:
    """Why a network has no answer for a pair alone, in words: batch norm or dropout was on in its test. Empty where it has one."""
    quirks = {"batch_statistics": model.batch_statistics and batch_norm(model), "test_dropout": model.test_dropout and drops(model)}
    for quirk in (name for name, there in quirks.items() if there):
        return (
            f"with model.{quirk}=true a network's answer depends on the place of a pair among those of the test, so that it has none for "
            "a pair alone; ask one that was trained without"
        )
    return ""
