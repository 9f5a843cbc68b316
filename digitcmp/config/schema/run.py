"""Everything that one run is made of."""

from dataclasses import dataclass
from typing import Any

from digitcmp.config.registry import Registry, schemas
from digitcmp.config.schema.data import COLUMNS, Affine, AugmentConfig, DataConfig, Elastic, NoAugment, Shift
from digitcmp.config.schema.key import MOST_SEED, key
from digitcmp.config.schema.loss import LossConfig, StoppingConfig
from digitcmp.config.schema.model import ModelConfig
from digitcmp.config.schema.optimizer import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    OptimizerConfig,
    Plateau,
    Restarts,
    SchedulerConfig,
    Sgd,
    Step,
)

AUTO = "auto"
MOST_LOOKS = 100  # of rounds=auto: the boundary is known for so many
MOST_TASKS = 10_000  # of an array of Slurm, and cores of one: more than clusters have
MOST_ROUNDS = 1_000_000  # of a run; their rows are kept in memory


@dataclass
class Auto:
    """How rounds=auto decides how many rounds are enough (`digitcmp.auto.sequential`)."""

    margin: float = key(
        above=0,
        at_most=100,
        execution=True,
        help="points: configurations that differ by less are equivalent; of one alone, the interval of its median is to be narrower",
    )
    batch: int = key(at_least=1, at_most=MOST_ROUNDS, execution=True, help="rounds of each from one look to the next")
    max: int = key(at_least=1, at_most=MOST_ROUNDS, execution=True, help="rounds of each, at most")
    level: float = key(above=0, at_most=0.5, execution=True, help="probability of a wrong verdict, over all looks and comparisons")


@dataclass
class Ray:
    """The cluster of engine=ray, and what a task of it gets there (`digitcmp.experiment.executors.cluster`)."""

    address: str | None = key(
        execution=True,
        text="option",
        help="auto: the cluster that this machine belongs to; HOST:PORT of its head; null: a Ray of the command's own",
    )
    cpus: int = key(at_least=1, execution=True, help="cores for each task")
    gpus: float = key(
        at_least=0, at_most=1, execution=True, help="GPUs for each task, which is a stack of rounds then; 0.5: two tasks share one"
    )
    retries: int = key(at_least=0, execution=True, help="how often the rounds of a process or a node that is gone are begun again")


@dataclass
class Slurm:
    """What an array of hydra/launcher=slurm asks Slurm for (`digitcmp.experiment.slurm`)."""

    tasks: int = key(
        at_least=1, at_most=MOST_TASKS, execution=True, help="of the array, which share the rounds of a sweep, or the trials of a search"
    )
    cpus: int = key(at_least=1, at_most=MOST_TASKS, execution=True, help="cores of each task, a worker process on each")
    mem: str | None = key(execution=True, text="option", help="memory of each task, as in 4G; null: what the cluster gives unasked")
    gres: str | None = key(execution=True, text="option", help="what else each task needs, as in gpu:1; null: nothing")
    time: str | None = key(
        execution=True, text="option", help="limit of each task, as in 30 (minutes), 4:00:00, 1-12; null: the partition's own"
    )
    partition: str | None = key(execution=True, text="option", help="where; null: the cluster's usual one")
    account: str | None = key(execution=True, text="option", help="who pays; null: the user's usual one")
    options: list[str] = key(execution=True, text="option", help='further options of sbatch, as in ["--exclude=n7"]')
    requeue: bool = key(execution=True, help="a task that comes to its time limit, is preempted or loses its node goes on in another turn")
    wait: bool = key(execution=True, help="wait for the array, and report; false: submit and leave, the last task reports")


@dataclass
class Config:
    """Everything one run is made of."""

    seed: int = key(at_least=0, at_most=MOST_SEED, help="everything random in a round derives from it")
    rounds: int | str = key(
        at_least=1,
        at_most=MOST_ROUNDS,
        word=AUTO,
        execution=True,
        help="so many, with the seeds seed … seed + rounds - 1; auto: until the configurations of a sweep are told apart",
    )
    epochs: int = key(at_least=1, help="passes over the training pairs")
    batch_size: int = key(at_least=1, help="pairs per step")
    aux_weight: float = key(at_least=0, at_most=1_000_000, help="loss = comparison loss + aux_weight × (digit loss 1 + digit loss 2)")
    label_smoothing: float = key(at_least=0, below=1, help="share of every label that is spread over all answers")
    ema: float = key(at_least=0, below=1, help="decay per step of an average of the weights, tested in their place; 0: none")
    ensemble: int = key(at_least=1, help="networks per round, whose answers are averaged")
    columns: list[str] = key(
        choices=COLUMNS, help="how its networks see each digit, in turn: as it is, or (moments) in the middle, upright and of even size"
    )
    tta_shift: float = key(
        at_least=0, at_most=7, help="pixels: tested on every pair moved so far to all eight sides too, answers averaged; 0: none"
    )
    test_every: int = key(at_least=1, help="epochs from one look at the test pairs to the next; the last epoch is always tested")
    test_batch: int | None = key(at_least=1, help="pairs tested at a time, which matters to model.batch_statistics alone; null: 200")
    device: str = key(
        choices=("auto", "cpu", "cuda", "cuda:N", "mps"),
        execution=True,
        help="what trains; auto: GPUs where there are some; cuda: all visible ones (engine=stacked), or the first; cuda:1: the second one",
    )
    engine: str = key(
        choices=("auto", "serial", "processes", "stacked", "ray"),
        execution=True,
        help="how rounds are executed; auto: stacked on a GPU, processes on several CPU cores",
    )
    workers: int | None = key(at_least=1, execution=True, help="worker processes; null: one per core")
    stack_size: int | None = key(
        at_least=1,
        execution=True,
        help="rounds in one stack (engine=stacked); null: as many as the free memory of a GPU takes, 8 on a CPU (engine=ray: 1)",
    )
    save_model: bool | None = key(
        execution=True, help="keep the trained networks in records/networks/; null: those of a single run of up to ten rounds"
    )
    checkpoint_every: int | None = key(
        at_least=1,
        execution=True,
        help="epochs from one checkpoint of the rounds in flight to the next, from which the same command goes on; null: none are kept",
    )
    retry_failed: bool = key(execution=True, help="train rounds again that failed before, when a folder is used again")
    test: bool = key(help="false: the test pairs stay unseen (for searches), only validation accuracy is measured")
    tags: list[str] = key(execution=True, help="words by which `digitcmp.runs ls` finds the run again")
    callbacks: dict[str, Any] = key(
        factory=dict,
        execution=True,
        help="who else is told of runs, rounds and epochs: trackers, by +callbacks=NAME, and classes of your own",
    )
    dry_run: bool = key(execution=True, help="say what would be trained, and train nothing")
    preview: bool = key(execution=True, help="train a little of everything, in a folder of its own, and say what the whole would take")
    report: bool = key(execution=True, help="write summary/ at the end of a sweep")
    auto: Auto = key(factory=Auto, execution=True, help="how rounds=auto decides")
    ray: Ray = key(factory=Ray, execution=True, help="the cluster of engine=ray, where workers are tasks at a time")
    slurm: Slurm = key(factory=Slurm, execution=True, help="what hydra/launcher=slurm asks for")
    model: ModelConfig = key(factory=ModelConfig, help="the network")
    loss: LossConfig = key(factory=LossConfig, help="what is minimised")
    stopping: StoppingConfig = key(factory=StoppingConfig, help="when a round ends, and with which weights")
    optimizer: OptimizerConfig = key(factory=OptimizerConfig, help="what moves the weights")
    scheduler: SchedulerConfig = key(factory=SchedulerConfig, help="how the learning rate moves over the steps of a round")
    data: DataConfig = key(factory=DataConfig, help="where digits come from, and how pairs are made of them")
    augment: AugmentConfig = key(factory=AugmentConfig, help="how training images are changed, anew in every epoch")

    @property
    def seeds(self) -> list[int]:
        """The seeds of the rounds: seed … seed + rounds - 1; with rounds=auto, those of the first batch."""
        return list(range(self.seed, self.seed + (self.auto.batch if isinstance(self.rounds, str) else self.rounds)))

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: keys of choices that packages offer as plain values."""
        from digitcmp.config.made import plain  # with OmegaConf, whose import takes a while

        return vars(self) | {group: plain(GROUP_SCHEMAS[group], key, getattr(self, group)) for group, key in CHOSEN_BY.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What has come from one. Raises ConfigError where a package is not there, or fails."""
        from digitcmp.config.made import rebuilt

        vars(self).update(state | {group: rebuilt(group, GROUP_SCHEMAS[group], state[group]) for group in CHOSEN_BY})


CHOSEN_BY = {"optimizer": "algorithm", "scheduler": "shape", "augment": "kind"}  # the key that tells a group's choices apart
# Choices of a group that bring keys of their own; a YAML file takes one with `defaults: [/schema/GROUP/NAME@_here_]`.
GROUP_SCHEMAS: dict[str, Registry[type]] = {
    "optimizer": schemas("optimizers", {"sgd": Sgd, "adam": Adam, "adamw": AdamW}, OptimizerConfig, CHOSEN_BY["optimizer"]),
    "augment": schemas(
        "augmentations", {"none": NoAugment, "shift": Shift, "affine": Affine, "elastic": Elastic}, AugmentConfig, CHOSEN_BY["augment"]
    ),
    "scheduler": schemas(
        "schedules",
        {"constant": Constant, "cosine": Cosine, "onecycle": OneCycle, "step": Step, "exponential": Exponential}
        | {"restarts": Restarts, "plateau": Plateau},
        SchedulerConfig,
        CHOSEN_BY["scheduler"],
    ),
}
