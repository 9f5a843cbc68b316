"""What touches private parts of Hydra, OmegaConf and Optuna; nothing else does."""
