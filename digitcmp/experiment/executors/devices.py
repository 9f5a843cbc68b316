"""Several GPUs of one machine: a worker process for each, with stacks of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from digitcmp.config.schema import Config
from digitcmp.experiment.executors.processes import ProcessExecutor
from digitcmp.experiment.executors.stacking import free_memory, stack_limit
from digitcmp.experiment.provenance import machine, merged


class DevicesExecutor(ProcessExecutor):
    """Trains a stack at a time on each of these devices. rounds: how many there are to be, if anybody knows: every device gets its
    share of them. on_message: is told when a stack has to be divided."""

    name = "stacked"

    def __init__(self, devices: Sequence[torch.device], rounds: int | None, on_message: Callable[[str], None]) -> None:
        super().__init__(devices[0], len(devices), on_message)
        self.devices, self.rounds = devices, rounds
        # as it is before anything is trained; devices of one kind alone know none
        self.memory = min((free for device in devices if (free := free_memory(device)) is not None), default=None)

    @property
    def platform(self) -> dict[str, Any]:
        return merged([machine(str(device)) for device in self.devices])

    def chunk(self, config: Config) -> int:
        return stack_limit(config, self.memory, self.rounds, self.workers)

    def next_device(self) -> torch.device:
        taken = [one.device for one in (*(busy.worker for busy in self.busy.values()), *self.free)]
        return next(device for device in self.devices if device not in taken)
