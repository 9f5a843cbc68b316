"""Asks the kept networks of a run about their test pairs again."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.recorded import of_run
from digitcmp.config.schema import DataConfig
from digitcmp.config.targets import TARGETS
from digitcmp.data.pairs import Pairs
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.about import data_root, read_about
from digitcmp.experiment.kept import nothing_done
from digitcmp.experiment.networks import TrainedNetwork, load_network
from digitcmp.experiment.store import read_run_records
from digitcmp.mistakes.findings import KINDS, Findings, Mistake, MistakeRow, RoundFindings
from digitcmp.model.network import Outputs
from digitcmp.train.evaluate import decide, probabilities
from digitcmp.train.results import RoundRow
from digitcmp.train.round import round_pairs

TOLERANCE = 0.002  # of the accuracy; a pair or two may fall to the other side on another device


def find(directory: Path, rounds: int, root: str | None) -> Findings:
    """The mistakes of the first rounds of a run that was started with save_model=true. root: the folder of the data set.

    Raises RunError when the folder holds no run, no finished or tested round, or not their networks, and when they
    answer otherwise than they did; DataError when the data set cannot be read.
    """
    about = read_about(directory)
    records = read_run_records(directory)
    done = [record.row for record in records.rounds.values() if record.row.status == "done"][:rounds]
    if not done:
        raise RunError(nothing_done(directory, records))
    data = data_of(directory, about, root)
    target = TARGETS[data.target]
    if target.outputs > 2:
        raise RunError(f"{directory} was trained with data.target=three; what is shown are pairs with two answers (data.target=le or gt)")
    return Findings(target.relation, [ask_round(directory, data, row) for row in done], records.damaged)


def data_of(directory: Path, about: dict[str, Any], root: str | None) -> DataConfig:
    """Where the pairs of a run come from. Raises RunError when run.json does not say it."""
    try:
        return replace(of_run(about, needs=("data",)).data, root=data_root(about, root))
    except ConfigError as error:
        raise RunError(f"{directory}/run.json: {error}") from error


def ask_round(directory: Path, data: DataConfig, row: RoundRow) -> RoundFindings:
    """The mistakes of one round. Raises RunError when its network was never tested, was not kept, or answers otherwise than it did."""
    if row.test_accuracy is None:
        raise RunError(f"{directory} was trained with test=false: its networks have not seen their test pairs, and shall not")
    network = load_network(directory, row.seed)
    tested = round_pairs(data, row.seed).test
    grey = round_pairs(replace(data, normalize_test=False), row.seed).test  # the same pairs, to be looked at
    outputs, read = ask(network, tested.images), None
    if outputs.digits is not None:
        read = Counter(zip(tested.digits.flatten().tolist(), outputs.digits.argmax(dim=-1).flatten().tolist(), strict=True))
    asked = Counter((first, second) for first, second in tested.digits.tolist())
    found = RoundFindings(row.seed, asked, mistakes_of(row.seed, grey, outputs), row.test_accuracy, read)
    # a single pair may differ, however few there are
    if abs(found.accuracy - found.recorded) > max(TOLERANCE, 1.5 / found.pairs):
        raise RunError(
            f"seed={found.seed}: {100 * found.accuracy:.2f} % of the test pairs are answered rightly, but its record has "
            f"{100 * found.recorded:.2f} %; the data or the code is not what the run was trained with"
        )
    return found


@torch.no_grad()
def ask(network: TrainedNetwork, images: Tensor) -> Outputs:
    """What a network says about the images [N, 2, s, s] of its test, in the batches of its test: batch norm and dropout may depend on
    them."""
    answers = [network.forward_tested(batch, number) for number, batch in enumerate(torch.split(images, network.test_batch))]
    digits = [answer.digits for answer in answers if answer.digits is not None]
    return Outputs(torch.cat([answer.comparison for answer in answers]), torch.cat(digits) if digits else None)


def mistakes_of(seed: int, grey: Pairs, outputs: Outputs) -> list[Mistake]:
    """The pairs that are answered wrongly. grey: N pairs with images in [0, 1]; outputs: logits [N, 1 or 2], [N, 2, 10] or None."""
    answers, probable = decide(outputs.comparison), probabilities(outputs.comparison)[:, 1]
    mistakes = []
    for pair in torch.nonzero(answers != grey.target)[:, 0].tolist():
        first, second = grey.digits[pair].tolist()
        posteriors = None
        row = MistakeRow(seed, pair, first, second, int(grey.target[pair]), int(answers[pair]), probable[pair].item())
        if outputs.digits is not None:
            posteriors = F.softmax(outputs.digits[pair].double(), dim=-1).numpy()
            read = posteriors.argmax(axis=-1).tolist()
            kind = KINDS[sum(one != other for one, other in zip((first, second), read, strict=True))]
            row = replace(row, first_read=read[0], second_read=read[1], kind=kind)
            row = replace(row, first_posterior=float(posteriors[0, first]), second_posterior=float(posteriors[1, second]))
        mistakes.append(Mistake(row, grey.images[pair].double().numpy(), posteriors))
    return mistakes
