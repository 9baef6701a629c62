#!/bin/sh
# Trains on several machines of a SLURM cluster; JAX finds the others from SLURM's own variables.
#   sbatch deploy/slurm.sh /shared/photos --recipe xception
# JAX gives each task one GPU, so there are as many tasks on a machine as it has GPUs.
# The run folder must lie where a restarted job finds it again; the same sbatch goes on with a run that was cut off.
#SBATCH --job-name=fireweed
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
set -eu
[ $# -ge 1 ] || { echo "say which photos, then options of 'fireweed train'" >&2; exit 2; }
data=$1
shift
srun fireweed train --data "$data" --out "${OUT:-runs/$SLURM_JOB_NAME}" "$@"
