"""Publishes reports and prints what comes of them: live.py [REPORTS [MODEL]]"""

import json
import sys
from datetime import datetime, timezone

from retune import sync

reports = sys.argv[1] if len(sys.argv) > 1 else "examples/reports.jsonl"
model = sys.argv[2] if len(sys.argv) > 2 else "shop-python"
start = datetime.now(timezone.utc)

with sync.connect() as client, open(reports) as lines:
    for line in lines:
        report = json.loads(line)
        client.report(model, report["metrics"], config=report["config"])
    for event in client.retrains(model=model, since=start):
        print("retrain:", event.reason)
        break
    for answer in client.configs(model):
        print("live config:", json.dumps(answer.config))
        break
