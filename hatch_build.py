"""What a wheel is given when it is built: the commit that it was built from, for the provenance of what is trained with it."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Puts digitcmp/built.json into wheels and source distributions; what is built from a source distribution has that of it."""

    folder: tempfile.TemporaryDirectory[str] | None = None  # where that file is, while it is built

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        top = Path(self.root)
        if version == "editable" or not (top / ".git").exists():
            return
        try:
            commit, changes = (
                subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True).stdout.strip()
                for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
            )
        except (OSError, subprocess.SubprocessError):
            return  # nobody knows
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "built.json")
        path.write_text(json.dumps({"git_commit": commit, "git_dirty": bool(changes)}) + "\n")
        build_data["force_include"][str(path)] = "digitcmp/built.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when it has built."""
        del version, build_data, artifact_path
        if self.folder is not None:
            self.folder.cleanup()
