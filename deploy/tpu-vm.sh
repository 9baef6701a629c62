#!/bin/sh
# Makes a Cloud TPU VM (or a slice of several), trains on it, brings the run home and deletes the TPU.
#   PROJECT=my-project BUCKET=my-bucket sh deploy/tpu-vm.sh 'gs://my-bucket/photos*.tfrec' --recipe squeezenet
# Fireweed is copied there from the folder that this file lies in.
# ACCELERATOR=v5litepod-16 HOSTS=4 takes a slice of four machines: each starts the same command, and only one writes.
set -eu
: "${PROJECT:?the name of the Google Cloud project}" "${BUCKET:?a bucket for the run folder}"
NAME=${NAME:-fireweed} ZONE=${ZONE:-us-west4-a}
ACCELERATOR=${ACCELERATOR:-v5litepod-8} VERSION=${VERSION:-v2-alpha-tpuv5-lite} HOSTS=${HOSTS:-1}
[ $# -ge 1 ] || { echo "say which photos: a gs:// pattern of shards, then options of 'fireweed train'" >&2; exit 2; }
data=$1
shift
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
on_all "mkdir -p source && tar xzf fireweed.tar.gz -C source && python3 -m venv env && env/bin/pip install --quiet './source[tpu]'"
on_all "env/bin/fireweed train --data '$data' --out run --hosts $HOSTS $*"
# one of the machines has written it
on_all "if [ -f run/report.html ]; then gcloud storage cp -r run 'gs://$BUCKET/runs/$NAME'; fi"
