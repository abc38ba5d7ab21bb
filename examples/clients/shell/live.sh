#!/bin/sh
# Publishes reports with the nats CLI and prints what comes of them: live.sh [REPORTS [MODEL]]
set -eu
reports=${1:-examples/reports.jsonl}
model=${2:-shop-shell}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The first event, while the reports are published. The CLI says on standard error that it has subscribed, and what is
# refused: that is shown when something fails.
NATS_URL=${NATS_SUBSCRIBER_URL:-${NATS_URL:-nats://127.0.0.1:4222}} nats sub --raw --count 1 --wait 60s "retune.retrain.$model.*" \
	>"$folder/event" 2>"$folder/log" &
subscription=$!

fail() {
	echo "live.sh: $1" >&2
	cat "$folder/log" >&2
	kill "$subscription" 2>/dev/null || true
	exit 1
}

while read -r report; do
	nats pub --jetstream "retune.metrics.$model" "$report" >"$folder/published" 2>&1 || {
		cat "$folder/published" >&2
		fail "a report was not stored"
	}
done <"$reports"

wait "$subscription" || fail "no retrain event"
[ -s "$folder/event" ] || fail "no retrain event"
echo "retrain: $(cat "$folder/event")"
newest=$(nats req --raw "\$JS.API.DIRECT.GET.KV_retune.retune.config.$model.live" '') || fail "the live config was not read"
[ -n "$newest" ] || fail "no live config: has the worker a tuner for $model?"
echo "live config: $newest"
