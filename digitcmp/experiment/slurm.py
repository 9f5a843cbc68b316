"""Arrays of Slurm: the script that makes one of a command, and its submission.

Every task runs the same command into one shared folder; the claims of the rounds (`digitcmp.experiment.store`), or the study of a
search, share the work out, so that a task that ends early leaves what it had to the others. What becomes of them is in
`digitcmp.experiment.slurm_array`.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from digitcmp.config.schema import Slurm
from digitcmp.errors import ConfigError, RunError
from digitcmp.files import write_whole
from digitcmp.inert import line

FOLDER = "slurm"  # below the sweep's: the script, and a log and an exit code per task
PATIENCE = 60.0  # seconds for an answer of Slurm
PING = 15.0  # seconds for a sign of life of its controller
LEAD = 60  # seconds before its time limit in which a task is told to end; Slurm may do so up to a minute earlier
SCRIPT = """\
#!/bin/bash
# Made by digitcmp: an array whose tasks share the work of one command. By hand: cd to the folder above this one; sbatch {folder}/array.sh
{options}
folder=$PWD/{folder}
cd {cwd} || exit
{exports}{command} &
command=$!
# from Slurm, before the time limit, and when the task is cancelled or preempted
trap 'kill -USR1 $command 2>/dev/null' USR1
trap 'kill -TERM $command 2>/dev/null' TERM
while wait $command; code=$?; kill -0 $command 2>/dev/null; do :; done
echo $code >"$folder/${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID.exit"
{requeue}exit $code
"""
REQUEUE = """\
# 128 + USR1: the time limit. Slurm ends this turn itself; one that ends before it does so would be taken for the task's end.
# SLURM_JOB_ID of one of the tasks is the number of the whole array
[ $code -ne 138 ] || { scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 60; }
"""


def script(options: Slurm, name: str, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> str:
    """The script of an array whose tasks run a command in the folder `cwd`, with these variables beside those that they have. It is to be
    submitted in the sweep's folder."""
    given = {name: value for name in ("partition", "account", "time", "gres", "mem") if (value := getattr(options, name)) is not None}
    own = {
        "job-name": re.sub(r"\W", "-", name, flags=re.ASCII),
        "array": f"0-{options.tasks - 1}",
        "cpus-per-task": options.cpus,
        "output": f"{FOLDER}/%A_%a.log",
        "signal": f"B:USR1@{LEAD}",
    }
    lines = [f"--{name}={value}" for name, value in {**own, **given}.items()]
    lines += ["--open-mode=append", "--requeue" if options.requeue else "--no-requeue", *options.options]
    return SCRIPT.format(
        options="\n".join(f"#SBATCH {one}" for one in lines),
        folder=FOLDER,
        cwd=shlex.quote(str(cwd)),
        exports="".join(f"export {variable}={shlex.quote(value)}\n" for variable, value in environment.items()),
        command=shlex.join(command),
        requeue=REQUEUE if options.requeue else "",
    )


def ask(*command: str, cwd: Path | None = None, text: str = "", patience: float = PATIENCE) -> str:
    """What a command of Slurm prints. text: its standard input; patience: seconds that it may take.

    Raises RunError with its own last words when it fails, or does not answer.
    """
    environment = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}  # which is this process's own
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, input=text, capture_output=True, text=True, check=False, timeout=patience)
    except subprocess.TimeoutExpired:
        raise RunError(f"Slurm: {command[0]} gave no answer within {patience:.0f} s") from None
    if done.returncode:
        words = [text.strip() for text in done.stderr.splitlines() if text.strip() and not text.startswith("Try ")]
        said = [re.sub(r"^\w+: ((error|fatal): )?", "", text) for text in words]
        raise RunError(f"Slurm: {line(said[-1] if said else f'{command[0]} failed with exit code {done.returncode}')}")
    return done.stdout or done.stderr


def reach() -> None:
    """Raise ConfigError where there is no Slurm, and RunError where it does not answer, within seconds: its commands would go on asking
    for `MessageTimeout`, or for minutes."""
    if shutil.which("sbatch") is None:
        raise ConfigError("hydra/launcher=slurm: there is no sbatch here; give the command where Slurm's own are, as on a login node")
    try:
        ask("scontrol", "ping", patience=PING)
    except RunError as error:
        raise RunError(f"hydra/launcher=slurm: Slurm's controller cannot be reached from here (scontrol ping: {error})") from error


def largest() -> int | None:
    """The most tasks of an array on this cluster, None where it does not say. Raises what `reach` raises."""
    reach()
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"), re.MULTILINE)
    return int(found[1]) if found else None


def places(options: Slurm) -> int:
    """How many tasks of an array the nodes that are up have cores for, others' jobs left aside; one at least, as nodes come back. Raises
    what `reach` raises."""
    reach()
    partition, cores = ["-p", options.partition] if options.partition else [], dict[str, int]()
    for row in ask("sinfo", "-h", "-N", "-o", "%N|%P|%C", *partition).splitlines():
        node, name, counts = row.strip().split("|")
        if partition or name.endswith("*"):  # the default one
            allocated, idle, *_ = map(int, counts.split("/"))
            cores[node] = allocated + idle
    return max(1, sum(number // options.cpus for number in cores.values()))


def submit(options: Slurm, folder: Path, make: Callable[[Slurm], str], test: bool = False) -> list[str]:
    """Submit the script of an array, which is kept in the sweep's folder; the numbers of its jobs: several where this cluster has no
    arrays of so many tasks. make: makes the script. test: only ask when it would begin, which is returned instead.

    Raises ConfigError for a partition that is none, RunError for anything else that Slurm refuses.
    """
    most, left, jobs = largest() or options.tasks, options.tasks, list[str]()
    text = make(replace(options, tasks=min(options.tasks, most)))
    try:
        if test:
            more = f"; {options.tasks} tasks are {-(-options.tasks // most)} arrays (MaxArraySize={most})" if options.tasks > most else ""
            return [line(ask("sbatch", "--test-only", text=text).strip().removeprefix("sbatch: ")) + more]
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)  # for the logs
        while left > 0:
            array = f"--array=0-{min(left, most) - 1}"
            said = ask("sbatch", "--parsable", array, cwd=folder, text=text).strip()
            if not (job := said.partition(";")[0]).isdecimal():
                raise RunError(f"Slurm: sbatch has given no number of a job: {line(said)}")
            jobs.append(job)
            left -= most
    except RunError as error:
        if jobs:
            ask("scancel", *jobs)
        if options.partition and "partition" in str(error):
            known = ", ".join(sorted(set(ask("sinfo", "-h", "-o", "%R").split())))
            raise ConfigError(f"slurm.partition={options.partition}: {error}; there is {known}") from error
        raise RunError(f"{error}; nothing was submitted") from error
    write_whole(folder / FOLDER / "array.sh", text)
    return jobs
