#!/bin/sh
# Publishes reports with the nats CLI and prints what comes of them: live.sh [REPORTS [MODEL]]
set -eu
reports=${1:-examples/reports.jsonl}
model=${2:-shop-shell}

while read -r report; do
	nats pub --jetstream "retune.metrics.$model" "$report" >/dev/null 2>&1
done <"$reports"

printf 'retrain: '
nats sub --raw --stream KV_retune --all --count 1 "retune.retrain.$model.*" 2>/dev/null
printf 'live config: '
nats sub --raw --stream KV_retune --last-per-subject --count 1 "retune.config.$model.live" 2>/dev/null
