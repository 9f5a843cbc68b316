#!/bin/bash
# A Ray of its own in an allocation of Slurm: a node of Ray on each node of it, and one command on the first:
#     sbatch --nodes=4 --cpus-per-task=8 --time=4:00:00 ray_in_slurm.sh --multirun +sweeps=table1
# What stands behind the script goes to digitcmp. The same line, given again, goes on with what is missing.
#SBATCH --ntasks-per-node=1 --signal=B:TERM@60

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')  # of this allocation alone
cpus=${SLURM_CPUS_PER_TASK:-1}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
host=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000))  # others may have a Ray on the same node
# srun gives a step one core of those of its task unless told otherwise (Slurm 22.05)
step=(srun --cpus-per-task="$cpus")
node=(ray start --block --num-cpus="$cpus" --object-store-memory=200000000)

# files of Ray lie below /tmp of each node; its processes end with the allocation
"${step[@]}" --nodes=1 --ntasks=1 --nodelist="$head" --overlap "${node[@]}" --head --node-ip-address="$host" --port="$port" --include-dashboard=false &
ray=$!
until ray health-check --address "$host:$port" >/dev/null 2>&1; do kill -0 $ray || exit 1; done
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
    "${step[@]}" --nodes=$others --ntasks=$others --exclude="$head" "${node[@]}" --address="$host:$port" &
fi

python -m digitcmp engine=ray ray.address="$host:$port" checkpoint_every=10 "$@" &
command=$!
trap 'kill -TERM $command' TERM  # from Slurm, a minute before the time limit: finished rounds and checkpoints are kept
while wait $command; code=$?; kill -0 $command 2>/dev/null; do :; done
kill $(jobs -p) 2>/dev/null
exit $code
