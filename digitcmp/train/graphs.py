"""Functions that a GPU repeats without being asked for every operation anew."""

import warnings
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

Kind = tuple[tuple[torch.Size, torch.dtype], ...]
UNRECORDED = 2  # calls before one is recorded: libraries choose their kernels and optimisers make their memory in them


class Recorded:
    """A function of tensors whose operations on a GPU are recorded once for each kind of tensors that it is given, and then replayed
    (CUDA graphs): a small network's operations take less time than asking for them. On another device, the function itself.

    The function must not wait for the GPU, do nothing but what is on it, and change what it goes on from in place. What is returned
    does not follow later calls. Where a function cannot be recorded (a block of somebody else's that brings numbers from the CPU), a
    warning says so, and it is called itself from then on.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], device: torch.device) -> None:
        self.function, self.device = function, device
        self.called, self.graphs, self.recordable = Counter[Kind](), dict[Kind, Graph](), True
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        if self.stream is None:
            return self.function(*given)
        if not self.recordable:
            return self.aside(self.stream, *given)
        kind = tuple((tensor.shape, tensor.dtype) for tensor in given)
        if kind not in self.graphs:
            self.called[kind] += 1
            if self.called[kind] <= UNRECORDED:
                return self.aside(self.stream, *given)
            try:
                self.graphs[kind] = Graph(self.function, given, self.stream)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # nothing of it has been done: recording is not doing
                torch.cuda.synchronize(self.device)
                self.recordable = False
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                warnings.warn(f"device={self.device}: steps cannot be recorded ({reason}), and take longer so", stacklevel=2)
                return self.aside(self.stream, *given)
        return self.graphs[kind](*given)

    def aside(self, stream: torch.cuda.Stream, *given: Tensor) -> tuple[Tensor, ...]:
        """The function itself, on the stream that it is recorded on."""
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            found = self.function(*given)
        stream.synchronize()  # what was made there is read elsewhere
        return found


class Graph:
    """One recorded call."""

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], given: tuple[Tensor, ...], stream: torch.cuda.Stream) -> None:
        self.given = tuple(tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in given)
        self.graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.found = function(*self.given)

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        for own, tensor in zip(self.given, given, strict=True):
            own.copy_(tensor)
        self.graph.replay()
        return tuple(tensor.clone() for tensor in self.found)
