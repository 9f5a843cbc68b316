"""The schema of a configuration: every key, its type, its range and its meaning.

A key has one home for its value: conf/config.yaml for those that every run has, the file of a choice for those of a group, and
a default here only where YAML files leave a key out (the parts of a network, options of a choice). What it means and what it takes
stands beside it, as `key(...)`, for `--help-keys` and for error messages; rules that concern several keys at once are in
`digitcmp.config.rules`.

The dataclasses are what YAML is composed into (types are checked by OmegaConf while composing) and what the program receives
(`digitcmp.config.composed`). Nothing here imports torch or Hydra.
"""

from digitcmp.config.schema.data import COLUMNS, SIZE, Affine, AugmentConfig, DataConfig, Elastic, NoAugment, Shift
from digitcmp.config.schema.key import MOST_SEED, key, limits_in_words, range_in_words
from digitcmp.config.schema.layers import ConvLayer, DenseLayer
from digitcmp.config.schema.loss import LossConfig, StoppingConfig
from digitcmp.config.schema.model import AuxHead, Comparator, DigitHead, ModelConfig
from digitcmp.config.schema.optimizer import Adam, AdamW, Constant, Cosine, OneCycle, OptimizerConfig, ParameterGroup, SchedulerConfig, Sgd
from digitcmp.config.schema.run import AUTO, CHOSEN_BY, GROUP_SCHEMAS, MOST_LOOKS, MOST_ROUNDS, Auto, Config, Ray, Slurm

__all__ = [
    "AUTO",
    "CHOSEN_BY",
    "COLUMNS",
    "GROUP_SCHEMAS",
    "MOST_LOOKS",
    "MOST_ROUNDS",
    "MOST_SEED",
    "SIZE",
    "Adam",
    "AdamW",
    "Affine",
    "AugmentConfig",
    "Auto",
    "AuxHead",
    "Comparator",
    "Config",
    "Constant",
    "ConvLayer",
    "Cosine",
    "DataConfig",
    "DenseLayer",
    "DigitHead",
    "Elastic",
    "LossConfig",
    "ModelConfig",
    "NoAugment",
    "OneCycle",
    "OptimizerConfig",
    "ParameterGroup",
    "Ray",
    "SchedulerConfig",
    "Sgd",
    "Shift",
    "Slurm",
    "StoppingConfig",
    "key",
    "limits_in_words",
    "range_in_words",
]
