"""Trained networks back from disk."""

import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import Tensor, nn

from digitcmp.config import ModelConfig
from digitcmp.errors import RunError
from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.train.losses import decide


class TrainedNetwork(nn.Module):
    """A trained pair network together with the normalisation of its training images, in evaluation mode."""

    def __init__(self, network: PairNetwork, mean: Tensor, std: Tensor, seed: int, target: str) -> None:
        super().__init__()
        self.network, self.seed, self.target = network, seed, target
        self.mean, self.std = nn.Buffer(mean), nn.Buffer(std)
        self.eval()

    def forward(self, images: Tensor) -> Outputs:
        """Grey images [B, 2, 14, 14] in [0, 1], not normalised -> comparison logits [B, 1 or 2], digit logits [B, 2, 10] or None."""
        return self.network((images - self.mean) / self.std)  # type: ignore[no-any-return]

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
    try:
        about = json.loads((directory / "run.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"{directory} holds no run (run.json cannot be read: {error})") from error
    path = directory / "model.safetensors"
    if not path.is_file():
        raise RunError(f"{path} does not exist; the networks of a run are kept with save_model=true")
    tensors = load_file(path)
    seeds = sorted({int(name.split("/", 1)[0]) for name in tensors})
    wanted = seeds[0] if seed is None else seed
    if wanted not in seeds:
        raise RunError(f"seed={wanted}: {path} holds the networks of the seeds {', '.join(map(str, seeds))}")
    return restore(about, {name.split("/", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(f"{wanted}/")}, wanted)


def restore(about: dict[str, Any], state: dict[str, Tensor], seed: int) -> TrainedNetwork:
    """The network that a run's configuration declares, with this state."""
    model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), about["configuration"]["model"]))
    if not isinstance(model, ModelConfig):
        raise TypeError(f"expected a ModelConfig, got {type(model).__name__}")
    mean, std = state.pop("input.mean"), state.pop("input.std")
    network = PairNetwork(model)
    network.load_state_dict(state)
    return TrainedNetwork(network, mean, std, seed, about["configuration"]["data"]["target"])
