"""What several of the report's tests look at: a run that was really trained."""

import pytest

from digitcmp.experiment.run import Run
from tests.conftest import compose_config
from tests.experiment.made import train_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two rounds of two epochs, with a digit head and validation pairs, tested after the second epoch alone."""
    options = ["model=wsn", "aux_weight=1", "rounds=2", "epochs=2", "test_every=2", "engine=serial"]
    options += ["data.train_pairs=200", "data.val_pairs=50", "data.test_pairs=100"]
    return train_run(compose_config(*options), tmp_path_factory.mktemp("trained"))
