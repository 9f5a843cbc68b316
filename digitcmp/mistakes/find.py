"""Asks the kept networks of a run about their test pairs again."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.schema import DataConfig
from digitcmp.data.pairs import Pairs
from digitcmp.errors import RunError
from digitcmp.experiment.networks import TrainedNetwork, load_model
from digitcmp.experiment.store import read_about, read_run_records
from digitcmp.mistakes.findings import Findings, Mistake, MistakeRow, RoundFindings, kind_of
from digitcmp.model.network import Outputs
from digitcmp.train.evaluate import BATCH, decide
from digitcmp.train.results import RoundRow
from digitcmp.train.round import round_pairs

TOLERANCE = 0.002  # of the accuracy; a pair or two may fall to the other side on another device


def find(directory: Path, rounds: int, root: str) -> Findings:
    """The mistakes of the first rounds of a run that was started with save_model=true. root: the folder of the data set.

    Raises RunError when the folder holds no run, no finished or tested round, or not their networks, and when they
    answer otherwise than they did; DataError when the data set cannot be read.
    """
    about = read_about(directory)
    recorded = read_run_records(directory).rounds.values()
    done = [record.row for record in recorded if record.row.status == "done"][:rounds]
    if not done:
        raise RunError(f"{directory} holds no finished round; there is nothing to ask")
    data = data_of(directory, about, root)
    return Findings({"le": "≤", "gt": ">"}[data.target], [ask_round(directory, data, row) for row in done])


def data_of(directory: Path, about: dict[str, Any], root: str) -> DataConfig:
    """Where the pairs of a run come from. Raises RunError when run.json does not say it."""
    try:
        tree = OmegaConf.merge(OmegaConf.structured(DataConfig), about["configuration"]["data"], {"root": root})
        data = OmegaConf.to_object(tree)
    except (KeyError, OmegaConfBaseException) as error:
        raise RunError(f"{directory}/run.json says nothing valid about the data ({str(error).splitlines()[0]})") from error
    assert isinstance(data, DataConfig)
    return data


def ask_round(directory: Path, data: DataConfig, row: RoundRow) -> RoundFindings:
    """The mistakes of one round. Raises RunError when its network was never tested, was not kept, or answers otherwise than it did."""
    if row.test_accuracy is None:
        raise RunError(f"{directory} was trained with test=false: its networks have not seen their test pairs, and shall not")
    network = load_model(directory, row.seed)
    tested = round_pairs(data, row.seed).test
    grey = round_pairs(replace(data, normalize_test=False), row.seed).test  # the same pairs, to be looked at
    outputs = ask(network, tested.images)
    mistakes = mistakes_of(row.seed, grey, outputs)
    found = RoundFindings(
        row.seed, len(tested.target), mistakes, row.test_accuracy, None if outputs.digits is None else counted(tested, outputs.digits)
    )
    check(found)
    return found


@torch.no_grad()
def ask(network: TrainedNetwork, images: Tensor) -> Outputs:
    """What a network says about the images [N, 2, 14, 14] of its test, in the batches of its test: batch norm may look at whole batches."""
    answers = [network.forward_normalized(batch) for batch in torch.split(images, BATCH)]
    digits = [answer.digits for answer in answers if answer.digits is not None]
    return Outputs(torch.cat([answer.comparison for answer in answers]), torch.cat(digits) if digits else None)


def mistakes_of(seed: int, grey: Pairs, outputs: Outputs) -> list[Mistake]:
    """The pairs that are answered wrongly. grey: N pairs with images in [0, 1]; outputs: logits [N, 1 or 2], [N, 2, 10] or None."""
    answers, probability = decide(outputs.comparison), truth(outputs.comparison)
    posteriors = None if outputs.digits is None else F.softmax(outputs.digits.double(), dim=-1)
    return [
        mistake(seed, pair, grey, int(answers[pair]), probability[pair].item(), None if posteriors is None else posteriors[pair])
        for pair in torch.nonzero(answers != grey.target)[:, 0].tolist()
    ]


def mistake(seed: int, pair: int, grey: Pairs, answer: int, probability: float, posteriors: Tensor | None) -> Mistake:
    """One wrong answer. posteriors: [2, 10]."""
    first, second = grey.digits[pair].tolist()
    read = None if posteriors is None else (int(posteriors[0].argmax()), int(posteriors[1].argmax()))
    true = None if posteriors is None else (posteriors[0, first].item(), posteriors[1, second].item())
    row = MistakeRow(
        seed=seed,
        pair=pair,
        first=first,
        second=second,
        target=int(grey.target[pair]),
        answer=answer,
        probability=probability,
        first_read=None if read is None else read[0],
        second_read=None if read is None else read[1],
        first_posterior=None if true is None else true[0],
        second_posterior=None if true is None else true[1],
        kind=kind_of((first, second), read),
    )
    return Mistake(row, grey.images[pair].double().numpy(), None if posteriors is None else posteriors.numpy())


def truth(logits: Tensor) -> Tensor:
    """The probability that the target is 1, float64 [N], from comparison logits [N, 1 or 2]."""
    logits = logits.double()
    return torch.sigmoid(logits[:, 0]) if logits.shape[-1] == 1 else F.softmax(logits, dim=-1)[:, 1]


def counted(pairs: Pairs, digits: Tensor) -> Counter[tuple[int, int]]:
    """How often each digit of the pairs is read as which: (true, read) from logits [N, 2, 10]."""
    return Counter(zip(pairs.digits.flatten().tolist(), digits.argmax(dim=-1).flatten().tolist(), strict=True))


def check(found: RoundFindings) -> None:
    """Raise RunError when a network answers otherwise than it did. A single pair may differ, however few there are."""
    if abs(found.accuracy - found.recorded) > max(TOLERANCE, 1.5 / found.pairs):
        raise RunError(
            f"seed={found.seed}: {100 * found.accuracy:.2f} % of the test pairs are answered rightly, but its record has "
            f"{100 * found.recorded:.2f} %; the data or the code is not what the run was trained with"
        )
