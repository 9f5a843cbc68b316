"""References of a configuration to its other keys (``${seed}``), and what is wrong with one."""

import re

from omegaconf.errors import InterpolationResolutionError


def reference(error: InterpolationResolutionError) -> str:
    """What is wrong with a reference, and, where OmegaConf knows it, in which key it stands."""
    text = re.sub(r"^\w+ raised while resolving interpolation: [\"']?(.*?)[\"']?$", r"\1", str(error).strip().partition("\n")[0])
    if found := re.fullmatch(r"Interpolation key '(.*)' not found", text):
        text = f"${{{found[1]}}}: there is no such key"
    elif found := re.fullmatch(r".*Missing mandatory value: ([\w.]+)", text):
        jobs = "; only jobs of a sweep have one (--multirun)" if found[1] in ("hydra.job.num", "hydra.job.id") else ""
        text = f"${{{found[1]}}} has no value here{jobs}"
    return f"{error.full_key}: {text}" if error.full_key else text
