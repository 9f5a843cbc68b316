"""What is recorded on a GPU, and what is done where it cannot be; with real graphs in test_gpu.py."""

import pytest
import torch
from torch import Tensor

from digitcmp.train import graphs
from digitcmp.train.graphs import Recorded

CPU = torch.device("cpu")


def test_elsewhere_it_is_the_function_itself() -> None:
    """Called every time, with nothing copied."""
    given = torch.ones(3)
    assert Recorded(lambda one: (one,), CPU)(given)[0] is given


def test_what_cannot_be_recorded_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is a warning with the reason, and no call is lost or made twice; too little memory is an error, which divides a stack."""
    tried, called = list[Tensor](), list[Tensor]()

    def function(one: Tensor) -> tuple[Tensor, ...]:
        called.append(one)
        return (one + 1,)

    def recording(_: object, given: tuple[Tensor, ...], __: object) -> None:
        tried.append(given[0])
        raise problem

    recorded = Recorded(function, CPU)
    recorded.stream = "a stream"  # type: ignore[assignment]
    monkeypatch.setattr(graphs, "Graph", recording)
    monkeypatch.setattr(Recorded, "aside", lambda own, _, *given: own.function(*given))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    problem: Exception = torch.OutOfMemoryError("CUDA out of memory")
    for _ in range(graphs.UNRECORDED):
        recorded(torch.zeros(2))
    with pytest.raises(torch.OutOfMemoryError):
        recorded(torch.zeros(2))
    problem = RuntimeError("operation not permitted when stream is capturing\nand much more")
    reason = r"device=cpu: steps cannot be recorded \(operation not permitted when stream is capturing\), and take longer so"
    with pytest.warns(UserWarning, match=reason):
        assert torch.equal(recorded(torch.zeros(2))[0], torch.ones(2))
    assert torch.equal(recorded(torch.ones(2))[0], torch.full((2,), 2.0))
    assert (len(tried), len(called)) == (2, graphs.UNRECORDED + 2)
