"""The optimiser: torch's own, with a learning rate for the comparator, and without what torch.compile needs."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from digitcmp.errors import ConfigError
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator
from digitcmp.train.optimizer import ALGORITHMS, make_optimizer, uncompiled
from digitcmp.train.program import SingleProgram
from digitcmp.train.round import train_spec
from tests.conftest import ROOT, choices, compose_config

TRAIN = """
import sys

import torch

from digitcmp.data.pairs import stack
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.loop import Training
from digitcmp.train.program import make_program
from digitcmp.train.round import round_pairs, train_spec
from digitcmp.experiment.executors.stacking import round_memory
from tests.conftest import choices, compose_config

cpu, small = torch.device("cpu"), ("ema=0.5", "epochs=2", "batch_size=20", "data.train_pairs=40", "data.test_pairs=20")
rounds, members, together = map(int, sys.argv[1:])
for name in choices("optimizer"):
    config = compose_config(f"optimizer={name}", f"ensemble={members}", *small)
    seeds = [MemberSeed(seed, member) for seed in range(rounds) for member in range(members)]
    program = make_program([build(config.model, generator(seed, Stream.WEIGHTS), cpu) for seed in seeds], bool(together))
    pairs = stack([round_pairs(config.data, seed) for seed in range(rounds)], cpu)
    assert len(list(Training(program, pairs, list(range(rounds)), train_spec(config)).epochs())) == 2
    round_memory(config)
    assert "torch._dynamo" not in sys.modules, name
"""


@pytest.mark.parametrize(("comparator_lr", "expected"), [(None, 0.1), (0.3, 0.3)])
def test_the_comparator_has_a_learning_rate_of_its_own(comparator_lr: float | None, expected: float) -> None:
    """One group holds all before the comparator, the other its weight and bias; together they are all parameters, once."""
    network = build(compose_config("model=wsn").model, generator(0, Stream.WEIGHTS), torch.device("cpu"))
    reader, comparator = make_optimizer(SingleProgram(network), "SGD", 0.1, comparator_lr, {"momentum": 0.9}).param_groups
    assert (reader["lr"], comparator["lr"], comparator["momentum"]) == (0.1, expected, 0.9)
    assert [id(parameter) for parameter in comparator["params"]] == [id(parameter) for parameter in network.comparator.parameters()]
    both = [id(parameter) for group in (reader, comparator) for parameter in group["params"]]
    assert sorted(both) == sorted(id(parameter) for parameter in network.parameters())


@pytest.mark.parametrize("name", choices("optimizer"))
def test_every_optimizer_file_makes_an_optimizer(name: str) -> None:
    """The algorithm is the one named, with the learning rate of the file."""
    config = compose_config(f"optimizer={name}", "optimizer.weight_decay=0.02")
    network = build(config.model, generator(0, Stream.WEIGHTS), torch.device("cpu"))
    made = train_spec(config).optimizer(SingleProgram(network))
    assert type(made).__name__.lower() == name
    assert all((group["lr"], group["weight_decay"]) == (config.optimizer.lr, 0.02) for group in made.param_groups)


@pytest.mark.parametrize(("algorithm", "options", "text"), [("LBFGS", {}, "LBFGS: choose one of SGD"), ("SGD", {"beta": 1}, "SGD: .*beta")])
def test_optimizers_that_cannot_be_made_are_refused(algorithm: str, options: dict[str, float], text: str) -> None:
    """An unknown algorithm or argument is quoted."""
    network = build(compose_config().model, generator(0, Stream.WEIGHTS), torch.device("cpu"))
    with pytest.raises(ConfigError, match=rf"optimizer\.algorithm={text}"):
        make_optimizer(SingleProgram(network), algorithm, 0.1, None, options)


@pytest.mark.parametrize(("rounds", "members", "together"), [(1, 1, 0), (1, 2, 0), (2, 1, 1)], ids=["single", "ensemble", "stacked"])
def test_training_does_not_import_what_torch_compile_needs(rounds: int, members: int, together: int) -> None:
    """torch._dynamo takes seconds and 150 MB. Every optimiser in conf/, in a process of its own."""
    arguments = map(str, (rounds, members, together))
    ended = subprocess.run([sys.executable, "-c", TRAIN, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_uncompiled_optimizer_steps_as_torchs_own(name: str) -> None:
    """Also beside torch's own and after torch._dynamo is imported, with the hooks around a step."""
    import torch._dynamo

    algorithm, steps = getattr(torch.optim, name), []

    def descend(kind: type[torch.optim.Optimizer]) -> Tensor:
        weights = torch.nn.Parameter(torch.linspace(-1, 2, 5))
        optimizer = kind([weights], lr=0.1)
        optimizer.register_step_post_hook(lambda *_: steps.append(kind))
        for _ in range(3):
            optimizer.zero_grad()
            (weights**2).sum().backward()
            optimizer.step()
        return weights.detach()

    ours = uncompiled(algorithm)
    first, theirs, second = descend(ours), descend(algorithm), descend(uncompiled(algorithm))
    assert torch.equal(first, theirs)
    assert torch.equal(second, theirs)
    assert (steps.count(ours), steps.count(algorithm), len(steps)) == (3, 3, 9)
