"""What is checked before anything is trained or written: whether the means are there."""

from digitcmp.config.schema import Config
from digitcmp.experiment.executors.choose import check_workers, choose, choose_device
from digitcmp.experiment.executors.stacking import round_memory
from digitcmp.train.round import round_pairs, train_spec


def preflight(config: Config) -> None:
    """Raise ConfigError when there is no such device, optimiser or schedule, for too many workers, or for a network that cannot be
    stacked where it is to be; DataError for data that is missing, damaged or too small."""
    device = choose_device(config.device)
    check_workers(config.workers)
    train_spec(config)
    round_pairs(config.data, config.seed)  # a problem with the data is found here, once, and not in every worker
    if choose(config, config.rounds, device)[0] == "stacked":
        round_memory(config)
