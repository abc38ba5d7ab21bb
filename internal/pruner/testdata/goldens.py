"""Writes goldens.json: what Optuna's pruners decide about seeded learning curves.

    python goldens.py > goldens.json

Each case is one study of trials that report one after the other at steps first, first+1, …. With
"stop" a trial ends where it is pruned; without, it goes on and is complete, so that every report has a
decision. "pruned" lists for each trial the steps at which Optuna said prune. Values have three decimals
so that ties occur. Cases keep to what both define alike: all trials report every step, no value is
infinite, and with the percentile pruners, for which Optuna leaves pruned trials out of the comparison,
none ends early.
"""

import json
import random
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)

CASES = [
    ("median", {}, False),
    ("median", {"n_startup_trials": 2, "n_warmup_steps": 3, "interval_steps": 4}, False),
    ("median", {"n_startup_trials": 0, "n_min_trials": 6}, False),
    ("percentile", {"percentile": 25.0}, False),
    ("percentile", {"percentile": 80.0, "n_startup_trials": 1}, False),
    ("asha", {"min_resource": 1}, True),
    ("asha", {"min_resource": 1}, False),
    ("asha", {"min_resource": 2, "reduction_factor": 2}, True),
    ("asha", {"min_resource": 1, "reduction_factor": 3, "min_early_stopping_rate": 1}, True),
    ("threshold", {"lower": -0.1, "upper": 1.1}, True),
    ("threshold", {"upper": 0.5, "n_warmup_steps": 2, "interval_steps": 3}, False),
]

PRUNERS = {
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}


def curve(draw, steps, goal):
    """Learns from a start to a level, with noise."""
    level, start, rate = draw.random(), draw.uniform(0.7, 1.3), draw.uniform(0.02, 0.5)
    losses = [level + (start - level) * (1 - rate) ** i + draw.gauss(0, 0.02) for i in range(steps)]
    return [round(x if goal == "minimize" else 1 - x, 3) for x in losses]


def case(kind, options, stop, goal, first, draw, trials=14, steps=18):
    study = optuna.create_study(direction=goal, pruner=PRUNERS[kind](**options))
    curves, pruned = [], []
    for _ in range(trials):
        trial, values, at = study.ask(), curve(draw, steps, goal), []
        for i, value in enumerate(values):
            trial.report(value, first + i)
            if trial.should_prune():
                at.append(first + i)
                if stop:
                    break
        if stop and at:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, values[-1])
        curves.append(values)
        pruned.append(at)
    return {"kind": kind, "options": options, "stop": stop, "goal": goal, "first": first, "curves": curves, "pruned": pruned}


draw = random.Random(1)
cases = [
    case(kind, options, stop, goal, first, draw)
    for kind, options, stop in CASES
    for goal in ("minimize", "maximize")
    for first in (0, 1)
]
sys.stdout.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
