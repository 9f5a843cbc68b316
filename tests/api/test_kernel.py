"""A call in a cell of a notebook: a real kernel, its progress bar, and its stop button."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.conftest import ROOT
from tests.experiment.made import seeds_of, status_of

ASKED = {"model": "net1", "epochs": 1, "batch_size": 20, "data": {"train_pairs": 40, "test_pairs": 40}, "engine": "processes", "workers": 2}
LONGEST = 200  # seconds of a cell


class Kernel:
    """A kernel and who talks to it."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str, interrupt_when: Path | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Run a cell: its reply, and its outputs. interrupt_when: press the stop button as soon as something is in this folder."""
        number = self.client.execute(code)
        while interrupt_when is not None and not any(path.stat().st_size for path in interrupt_when.glob("*.jsonl")):
            time.sleep(0.05)
        if interrupt_when is not None:
            self.manager.interrupt_kernel()
        while (reply := self.client.get_shell_msg(timeout=LONGEST))["parent_header"].get("msg_id") != number:
            pass  # an answer to whether the kernel is there
        outputs: list[dict[str, Any]] = []
        while (message := self.client.get_iopub_msg(timeout=LONGEST))["content"].get("execution_state") != "idle" or (
            message["parent_header"].get("msg_id") != number
        ):
            if message["msg_type"] in ("display_data", "update_display_data", "execute_result", "stream"):
                outputs.append(message["content"])
        return reply["content"], outputs


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_stop_and_go_on(kernel: Kernel, tmp_path: Path) -> None:
    """The stop button keeps finished rounds; the next cell goes on, twice in one kernel, with a bar that stays as a line."""
    reply, _ = kernel.run(f"import digitcmp\nasked = {ASKED}\ndigitcmp.run(asked | {{'rounds': 5000}}, 'r')", tmp_path / "r" / "records")
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    assert "finished round" in reply["evalue"]
    kept = seeds_of(tmp_path / "r")
    assert 0 < len(kept) < 5000
    assert status_of(tmp_path / "r") == "interrupted"
    reply, outputs = kernel.run(f"digitcmp.run(asked | {{'rounds': {len(kept) + 2}}}, 'r')")
    assert reply["status"] == "ok", reply
    assert len(seeds_of(tmp_path / "r")) == len(kept) + 2
    shown = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("<progress" in text and 'role="status"' in text for text in shown)
    assert "<progress" not in [text for text in shown if 'role="status"' in text][-1]
    assert "<table" in shown[-1]
    assert "\x1b" not in "".join(str(output) for output in outputs)
    _, again = kernel.run(f"digitcmp.run(asked | {{'rounds': {len(kept) + 2}}}, 'r').rounds.shape[0]")
    assert again[-1]["data"]["text/plain"] == str(len(kept) + 2)
    assert not any("<progress" in output.get("data", {}).get("text/html", "") for output in again)
