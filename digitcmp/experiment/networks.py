"""Trained networks back from disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from digitcmp.config.identity import completed
from digitcmp.config.schema import ModelConfig
from digitcmp.data.transforms import find_columns
from digitcmp.errors import RunError
from digitcmp.experiment.store import network_path, read_about, saved_seeds
from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.train.evaluate import decide, make_predictor
from digitcmp.train.program import make_program
from digitcmp.train.round import first_line


class TrainedNetwork(nn.Module):
    """What a round trained: a pair network, or an ensemble of them, with the normalisation of the training images, in evaluation mode.

    It answers as it was tested: averaged over its networks, each of which sees its own column, and over shifted views.
    """

    def __init__(self, networks: Sequence[PairNetwork], mean: Tensor, std: Tensor, seed: int, configuration: dict[str, Any]) -> None:
        """configuration: that of the run, complete."""
        super().__init__()
        self.networks, self.seed, self.target = nn.ModuleList(networks), seed, configuration["data"]["target"]
        self.mean, self.std = nn.Buffer(mean), nn.Buffer(std)
        program, columns = make_program(networks, together=False), find_columns(configuration["columns"])
        self.predictor = make_predictor(program, len(networks), configuration["tta_shift"], columns)
        self.eval()

    def forward(self, images: Tensor) -> Outputs:
        """Grey images [B, 2, 14, 14] in [0, 1], not normalised -> comparison logits [B, 1 or 2], digit logits [B, 2, 10] or None."""
        return self.forward_normalized((images - self.mean) / self.std)

    def forward_normalized(self, images: Tensor) -> Outputs:
        """As `forward`, for images as a round's test pairs have them: normalised, unless data.normalize_test=false."""
        comparison, digits = self.predictor(images[None])
        return Outputs(comparison[0], None if digits is None else digits[0])

    @torch.no_grad()
    def compare(self, images: Tensor) -> Tensor:
        """Whether first <= second (first > second for target gt): bool [B] for grey images [B, 2, 14, 14] in [0, 1]."""
        return decide(self(images).comparison).bool()


def load_model(run_dir: str | Path, seed: int | None = None) -> TrainedNetwork:
    """The trained network of a run that was started with save_model=true.

    seed: which round's network; None for the run's first. Raises RunError when the directory holds no run, no saved
    networks, or none of this seed.
    """
    directory = Path(run_dir)
    about = read_about(directory)
    seeds = saved_seeds(directory)
    if not seeds:
        raise RunError(f"{directory} holds no trained networks: it was trained without save_model=true, or they have been removed")
    wanted = seeds[0] if seed is None else seed
    if wanted not in seeds:
        raise RunError(f"seed={wanted}: {directory} holds the networks of the seeds {', '.join(map(str, seeds))}")
    path = network_path(directory, wanted)
    try:
        return restore(about, load_file(path), wanted)
    except (SafetensorError, OmegaConfBaseException, OSError, RuntimeError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({first_line(error)}); the round is trained again in another folder") from error


def restore(about: dict[str, Any], state: dict[str, Tensor], seed: int) -> TrainedNetwork:
    """The network that a run's configuration declares, with this state."""
    model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), about["configuration"]["model"]))
    if not isinstance(model, ModelConfig):
        raise TypeError(f"expected a ModelConfig, got {type(model).__name__}")
    configuration = completed(about["configuration"])
    mean, std = state.pop("input.mean"), state.pop("input.std")
    members = configuration["ensemble"]
    networks = [PairNetwork(model) for _ in range(members)]
    for member, network in enumerate(networks):
        begin = f"{member}." if members > 1 else ""
        network.load_state_dict({name.removeprefix(begin): tensor for name, tensor in state.items() if name.startswith(begin)})
    return TrainedNetwork(networks, mean, std, seed, configuration)
