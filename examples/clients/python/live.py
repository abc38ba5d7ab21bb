"""Publishes reports and prints what comes of them: live.py [REPORTS [MODEL]]"""

import json
import os
import sys

from retune import sync

reports = sys.argv[1] if len(sys.argv) > 1 else "examples/reports.jsonl"
model = sys.argv[2] if len(sys.argv) > 2 else "shop-python"

with (
    sync.connect() as trainer,
    sync.connect(os.environ.get("NATS_SUBSCRIBER_URL")) as subscriber,
):
    events = subscriber.retrains(model=model)
    with open(reports) as lines:
        for line in lines:
            report = json.loads(line)
            trainer.report(model, report["metrics"], config=report["config"])
    print("retrain:", next(events).reason)
    newest = trainer.live_config(model)
    print("live config:", json.dumps(newest and newest.config))
