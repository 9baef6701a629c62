#!/bin/sh
# Makes a Cloud TPU VM (or a slice of several), trains on it into a bucket and deletes the TPU.
#   PROJECT=my-project BUCKET=my-bucket sh deploy/tpu-vm.sh 'gs://my-bucket/photos*.tfrec' --recipe squeezenet
# Fireweed is copied there from the folder that this file lies in. The run lies in gs://BUCKET/runs/NAME from its first
# checkpoint on: where the TPU was taken away, the same command goes on with it.
# ACCELERATOR=v5litepod-16 HOSTS=4 takes a slice of four machines: each starts the same command, and only one writes.
set -eu
: "${PROJECT:?the name of the Google Cloud project}" "${BUCKET:?a bucket for the run}"
NAME=${NAME:-fireweed} ZONE=${ZONE:-us-west4-a} PYTHON=${PYTHON:-3.12}
ACCELERATOR=${ACCELERATOR:-v5litepod-8} VERSION=${VERSION:-v2-alpha-tpuv5-lite} HOSTS=${HOSTS:-1}
[ $# -ge 1 ] || { echo "say which photos: a gs:// pattern of shards, then options of 'fireweed train'" >&2; exit 2; }
options=
for word in --data "$@" --out "gs://$BUCKET/runs/$NAME" --hosts "$HOSTS"; do
  options="$options '$(printf %s "$word" | sed "s/'/'\\\\''/g")'" # the shell over there sees each as one word again
done
on_all() {
  gcloud compute tpus tpu-vm ssh "$NAME" --project "$PROJECT" --zone "$ZONE" --worker=all --command "$1"
}
gcloud compute tpus tpu-vm create "$NAME" --project "$PROJECT" --zone "$ZONE" \
  --accelerator-type "$ACCELERATOR" --version "$VERSION"
trap 'gcloud compute tpus tpu-vm delete "$NAME" --project "$PROJECT" --zone "$ZONE" --quiet' EXIT
source=$(cd "$(dirname "$0")/.." && pwd)
archive=$(mktemp)
git -C "$source" archive --format=tar.gz -o "$archive" HEAD
gcloud compute tpus tpu-vm scp "$archive" "$NAME:fireweed.tar.gz" --project "$PROJECT" --zone "$ZONE" --worker=all
rm "$archive"
# Python there is 3.10, as Ubuntu 22.04 has it, and Fireweed needs 3.11 at least: uv brings one
on_all "mkdir -p source && tar xzf fireweed.tar.gz -C source && python3 -m pip install --quiet --user uv"
on_all "python3 -m uv venv --quiet --python $PYTHON env && python3 -m uv pip install --quiet --python env './source[tpu,cloud]'"
on_all "env/bin/fireweed train$options"
