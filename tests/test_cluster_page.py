"""What docs/cluster.md says beside Ray and Slurm themselves, which other tests start: the manifest for Kubernetes."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, compose_config
from tests.experiment.raylets import COMMANDS, HEAD, NODE, PAGE, TOKEN

MANIFEST: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "docs" / "kuberay.yaml").read_text()))
VOLUME, JOB = MANIFEST
# fields of ray.io/v1 as KubeRay 1.7's own definition has them, of those that are of use here; * : any name
KNOWN: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str},
    "spec": {
        "entrypoint": str,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "activeDeadlineSeconds": int,
        "rayClusterSpec": {
            "rayVersion": str,
            "authOptions": {"mode": str, "secretName": str},
            "headGroupSpec": {"rayStartParams": {"*": str}, "template": {}},
            "workerGroupSpecs": [
                {"groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int, "rayStartParams": {"*": str}, "template": {}}
            ],
        },
    },
}
POD: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": str,
                "image": str,
                "env": [{"name": str, "value": str}],
                "resources": {"requests": {"*": str}, "limits": {"*": str}},
                "volumeMounts": [{"name": str, "mountPath": str}],
            }
        ],
        "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}],
    }
}


SBATCH = [line for line in PAGE if line.startswith("sbatch")]
RUN = {  # the commands of the page, and what runs them
    "pip install 'digitcmp[ray]'": "continuous integration",
    "export RAY_AUTH_MODE=token": "tests/experiment/test_ray.py",
    f"ray {TOKEN}": "tests/experiment/test_ray.py",
    **dict.fromkeys([f"ray {HEAD}", f"ray {NODE}"], "tests/experiment/raylets.py"),
    **dict.fromkeys(COMMANDS, "tests/experiment/on_ray.py"),
    **dict.fromkeys(SBATCH, "tests/plugins/test_slurm.py"),
    "kubectl apply -f docs/kuberay.yaml": "nobody has a Kubernetes here: the manifest, below",
    "kubectl get rayjob digitcmp": "nobody has a Kubernetes here: the manifest, below",
}


def test_every_command_of_the_page_is_run() -> None:
    """By a test that takes it from the page, or is looked at; a new one has to say by which."""
    assert set(PAGE) == set(RUN)
    assert len(COMMANDS) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose(command: str) -> None:
    """All of the rest of a line."""
    overrides = [word for word in shlex.split(command)[3:] if word != "--multirun"]
    assert (compose_config(*overrides).engine, compose_config(*overrides).ray.address) == ("ray", "auto")


@pytest.mark.parametrize("command", SBATCH)
def test_what_an_allocation_is_given(command: str) -> None:
    """Options of sbatch, the script, and a command of ours that composes."""
    words = shlex.split(command)
    script = words.index("docs/ray_in_slurm.sh")
    assert all(word.startswith("--") for word in words[1:script])
    overrides = [word for word in words[script + 1 :] if word != "--multirun"]
    assert compose_config("engine=ray", *overrides).engine == "ray"


def check(value: Any, known: Any, path: str = "") -> None:
    """Whether a part of a manifest has no other fields than these, each of its type."""
    if known == {}:
        known = POD
    if isinstance(known, list):
        assert isinstance(value, list), path
        for number, one in enumerate(value):
            check(one, known[0], f"{path}[{number}]")
    elif isinstance(known, dict):
        assert isinstance(value, dict), path
        for name, one in value.items():
            assert name in known or "*" in known, f"{path}.{name}"
            check(one, known.get(name, known.get("*")), f"{path}.{name}")
    else:
        assert type(value) is known, f"{path}: {value!r}"


def test_the_manifest_has_known_fields_alone() -> None:
    """A field that is misspelt would be refused by the cluster, or do nothing; numbers and texts are what they must be."""
    check(JOB, KNOWN)
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert (VOLUME["apiVersion"], VOLUME["kind"]) == ("v1", "PersistentVolumeClaim")
    with pytest.raises(AssertionError, match="rayStartParms"):
        check({"spec": {"rayClusterSpec": {"headGroupSpec": {"rayStartParms": {}}}}}, KNOWN)
    with pytest.raises(AssertionError, match="num-cpus: 0"):
        check({"rayStartParams": {"num-cpus": 0}}, {"rayStartParams": {"*": str}})


def test_the_manifest_agrees_with_itself() -> None:
    """Volumes, limits and versions; and the head, which the command runs on, takes no rounds."""
    cluster = JOB["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    assert {container["image"] for pod in pods for container in pod["containers"]} == {"IMAGE"}
    (head,) = pods[0]["containers"]
    claims = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in pods[0]["volumes"]}
    assert [claims[one["name"]] for one in head["volumeMounts"]] == [VOLUME["metadata"]["name"]]
    assert groups[0]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        for container in group["template"]["spec"]["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]  # cores that are promised are there


def test_the_manifest_runs_a_command_of_ours() -> None:
    """What is left of it composes, and its results go where the volume is."""
    python, option, module, multirun, *overrides = shlex.split(JOB["spec"]["entrypoint"])
    assert [python, option, module, multirun] == ["python", "-m", "digitcmp", "--multirun"]
    config = compose_config(*(one for one in overrides if not one.startswith("hydra.")))
    assert (config.engine, config.ray.address) == ("ray", "auto")
    (folder,) = (Path(one.partition("=")[2]) for one in overrides if one.startswith("hydra.sweep.dir="))
    (head,) = JOB["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert folder.is_relative_to(head["volumeMounts"][0]["mountPath"])
