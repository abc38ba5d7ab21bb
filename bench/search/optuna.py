"""Optuna's samplers over JSON lines: one request a line on standard input, one answer a line on standard output.

{"op": "new", "sampler": "tpe", "seed": 1, "goal": "minimize", "space": {…}, "history": [{"config": {…}, "value": 1.0}]}
{"op": "ask"}                            -> {"config": {…}, "seconds": 0.001}
{"op": "tell", "trial": 0, "value": 1.0} -> {}

The first line out is {"optuna": version}. Whatever goes wrong comes as {"error": text}. Trials are numbered
from 0 in the order they were asked for; those of the history do not count.
"""

import importlib
import json
import sys
import time
import warnings

import optuna

# Each sampler with what it needs besides Optuna, which some would only miss after ten trials.
SAMPLERS = {
    "tpe": ([], lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "tpe-multivariate": (
        [],
        lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
    ),
    "gp": (["scipy", "torch"], lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "cmaes": (["cmaes"], lambda seed: optuna.samplers.CmaEsSampler(seed=seed)),
    "cmaes-margin": (["cmaes"], lambda seed: optuna.samplers.CmaEsSampler(seed=seed, with_margin=True)),
    "qmc": (["scipy"], lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True)),
    "random": ([], lambda seed: optuna.samplers.RandomSampler(seed=seed)),
}


def sampler(name, seed):
    if name not in SAMPLERS:
        raise ValueError(f"{name} is not a sampler: give one of {', '.join(SAMPLERS)}")
    needs, make = SAMPLERS[name]
    for module in needs:
        importlib.import_module(module)
    return make(seed)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def suggest_one(trial, name, parameter):
    """Suggests a parameter as a user of Optuna would. Of an ordered list of numbers it suggests the index:
    as a categorical it would lose its order, and Optuna some of its strength."""
    if "values" in parameter:
        values = parameter["values"]
        if all(map(is_number, values)):
            return values[trial.suggest_int(name, 0, len(values) - 1)]
        return trial.suggest_categorical(name, values)
    if parameter["type"] == "categorical":
        return trial.suggest_categorical(name, parameter["choices"])
    low, high, log = parameter["low"], parameter["high"], parameter.get("log", False)
    if parameter["type"] == "int":
        return trial.suggest_int(name, low, high, step=parameter.get("step", 1), log=log)
    return trial.suggest_float(name, low, high, step=parameter.get("step"), log=log)


def suggest(trial, space):
    """Suggests the active parameters, parents before those that depend on them."""
    config, waiting = {}, list(space)
    while waiting:
        later = []
        for name in waiting:
            when = space[name].get("when") or {}
            if any(parent in waiting for parent in when):
                later.append(name)
            elif all(parent in config and config[parent] in values for parent, values in when.items()):
                config[name] = suggest_one(trial, name, space[name])
        waiting = later
    return config


def stored(parameter, value):
    """The value as the trial stores it: see suggest_one."""
    if "values" in parameter and all(map(is_number, parameter["values"])):
        return parameter["values"].index(value)
    return value


class Run:
    """One study and the trials asked for so far."""

    def __init__(self, request):
        self.space = request["space"]
        self.trials = []
        self.study = optuna.create_study(
            direction=request["goal"], sampler=sampler(request["sampler"], request["seed"])
        )
        for known in request.get("history") or []:
            self.add(known["config"], known["value"])

    def add(self, config, value):
        fixed = optuna.trial.FixedTrial({name: stored(self.space[name], v) for name, v in config.items()})
        suggest(fixed, self.space)
        self.study.add_trial(
            optuna.trial.create_trial(params=fixed.params, distributions=fixed.distributions, value=value)
        )

    def ask(self, _):
        start = time.perf_counter()
        trial = self.study.ask()
        config = suggest(trial, self.space)
        seconds = time.perf_counter() - start
        self.trials.append(trial)
        return {"config": config, "seconds": seconds}

    def tell(self, request):
        self.study.tell(self.trials[request["trial"]], request["value"])
        return {}


def main():
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    run = None
    print(json.dumps({"optuna": optuna.__version__}), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["op"] == "new":
                run, answer = Run(request), {}
            else:
                answer = {"ask": run.ask, "tell": run.tell}[request["op"]](request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
