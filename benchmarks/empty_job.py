"""A Hydra application with digitcmp's configuration and a job that does nothing: what Hydra itself costs."""

import hydra
from omegaconf import DictConfig

from digitcmp.files import shipped
from digitcmp.plugins import resolvers


@hydra.main(config_path=str(shipped("conf")), config_name="config", execution_whitelist=["digitcmp.cli.Hooks", "logging.FileHandler"])
def empty(composed: DictConfig) -> float:
    """Nothing."""
    del composed
    return 0.0


if __name__ == "__main__":
    resolvers.register()
    empty()
