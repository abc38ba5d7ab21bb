"""Learning curves of real models, and what Optuna's pruners make of learning curves, over JSON lines.

{"op": "train", "model": "mlp digits"}                          -> {"sets": [a set of curves, …]}
{"op": "set", "set": a set of curves}                           -> {}
{"op": "replay", "set": name, "pruner": "asha", "options": {…}, "run": a study}
                                                                -> {"used": steps, "best": value or null, "seconds": 0.001}

The first line out is {"optuna": version or null, "models": [what can be trained]}. Whatever goes wrong comes as
{"error": text}. A set of curves is {"name", "goal", "steps": [1, …], "curves": [[value a step, null: not finite], …]};
a study is {"seed", "parallel", "order": [curve of each trial], "pace": [time of one step of each trial]}.
"""

import heapq
import importlib.util
import json
import math
import random
import sys
import time
import warnings


def log_uniform(draw, low, high):
    return math.exp(draw.uniform(math.log(low), math.log(high)))


def load(loader):
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = loader(return_X_y=True)
    x, held, y, expected = train_test_split(x, y, test_size=0.3, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(held), y, expected


def epochs(model, data, count):
    """Accuracy and log loss on held-out data after each epoch; None from where the training diverges."""
    import numpy
    from sklearn.metrics import accuracy_score, log_loss

    x, held, y, expected = data
    classes = numpy.unique(y)
    accuracies, losses = [None] * count, [None] * count
    for epoch in range(count):
        try:
            model.partial_fit(x, y, classes=classes)
            probabilities = model.predict_proba(held)
        except ValueError:
            break
        if not numpy.isfinite(probabilities).all():
            break
        accuracies[epoch] = float(accuracy_score(expected, classes[probabilities.argmax(axis=1)]))
        losses[epoch] = float(log_loss(expected, numpy.clip(probabilities, 1e-12, 1), labels=classes))
    return accuracies, losses


def mlp(draw):
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        hidden_layer_sizes=(draw.choice([8, 16, 32, 64, 128]),),
        solver=draw.choice(["sgd", "adam"]),
        learning_rate_init=log_uniform(draw, 1e-4, 0.5),
        momentum=draw.uniform(0, 0.95),
        alpha=log_uniform(draw, 1e-6, 0.3),
        batch_size=draw.choice([32, 64, 128]),
        random_state=draw.randrange(1 << 30),
    )


def sgd(draw):
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(
        loss=draw.choice(["log_loss", "modified_huber"]),
        penalty=draw.choice(["l2", "l1", "elasticnet"]),
        alpha=log_uniform(draw, 1e-6, 0.1),
        learning_rate=draw.choice(["constant", "invscaling", "optimal"]),
        eta0=log_uniform(draw, 1e-5, 1),
        power_t=draw.uniform(0.1, 0.6),
        random_state=draw.randrange(1 << 30),
    )


def boosting(draw, count):
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        n_estimators=count,
        learning_rate=log_uniform(draw, 0.003, 1),
        max_depth=draw.randint(1, 6),
        min_samples_leaf=draw.randint(1, 40),
        subsample=draw.uniform(0.3, 1),
        max_features=draw.uniform(0.2, 1),
        random_state=draw.randrange(1 << 30),
    )


def curve_set(name, goal, curves):
    return {"name": name, "goal": goal, "steps": list(range(1, len(curves[0]) + 1)), "curves": curves}


def classifiers(name, build, loader, configs=60, count=27):
    data = load(loader)
    draw = random.Random(name)
    pairs = [epochs(build(draw), data, count) for _ in range(configs)]
    return [
        curve_set(name + " accuracy", "maximize", [accuracies for accuracies, _ in pairs]),
        curve_set(name + " loss", "minimize", [losses for _, losses in pairs]),
    ]


def boosted(name, configs=60, count=100):
    from sklearn.datasets import load_diabetes
    from sklearn.metrics import mean_squared_error

    x, held, y, expected = load(load_diabetes)
    draw = random.Random(name)
    curves = []
    for _ in range(configs):
        model = boosting(draw, count).fit(x, y)
        curves.append([float(mean_squared_error(expected, p)) for p in model.staged_predict(held)])
    return [curve_set(name + " error", "minimize", curves)]


def models():
    if importlib.util.find_spec("sklearn") is None:
        return {}
    from sklearn.datasets import load_breast_cancer, load_digits

    return {
        "mlp digits": lambda name: classifiers(name, mlp, load_digits),
        "sgd digits": lambda name: classifiers(name, sgd, load_digits),
        "sgd cancer": lambda name: classifiers(name, sgd, load_breast_cancer),
        "gbm diabetes": boosted,
    }


def pruner(name, options):
    from optuna import pruners

    return {
        "median": pruners.MedianPruner,
        "percentile": pruners.PercentilePruner,
        "asha": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }[name](**options)


def replay(known, name, options, run):
    """A study whose workers take the next trial when they are free, as in replayStudy of the Go side."""
    import optuna

    goal, steps, curves = known["goal"], known["steps"], known["curves"]
    study = optuna.create_study(
        study_name=f"{known['name']} {run['seed']}",
        direction=goal,
        pruner=pruner(name, options),
        sampler=optuna.samplers.RandomSampler(seed=run["seed"]),
    )
    used, best, spent = 0, None, 0.0
    now, queue, started = 0.0, [], 0
    while True:
        while started < len(run["order"]) and len(queue) < run["parallel"]:
            heapq.heappush(queue, (now + run["pace"][started], started, 0, study.ask()))
            started += 1
        if not queue:
            return {"used": used, "best": best, "seconds": spent / max(used, 1)}
        now, number, at, trial = heapq.heappop(queue)
        value = curves[run["order"][number]][at]
        used += 1
        start = time.perf_counter()
        trial.report(math.nan if value is None else value, steps[at])
        prune = trial.should_prune()
        spent += time.perf_counter() - start
        if prune:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif at + 1 < len(steps):
            heapq.heappush(queue, (now + run["pace"][number], number, at + 1, trial))
        elif value is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, value)
            if best is None or (value > best if goal == "maximize" else value < best):
                best = value


class Script:
    def __init__(self):
        self.models = models()
        self.sets = {}

    def hello(self):
        version = None
        if importlib.util.find_spec("optuna") is not None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            version = optuna.__version__
        return {"optuna": version, "models": list(self.models)}

    def train(self, request):
        return {"sets": self.models[request["model"]](request["model"])}

    def set(self, request):
        self.sets[request["set"]["name"]] = request["set"]
        return {}

    def replay(self, request):
        return replay(self.sets[request["set"]], request["pruner"], request["options"] or {}, request["run"])


def main():
    warnings.simplefilter("ignore")
    script = Script()
    print(json.dumps(script.hello()), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = {"train": script.train, "set": script.set, "replay": script.replay}[request["op"]](request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
