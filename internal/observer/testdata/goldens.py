"""Writes goldens/*.txt: where River's detectors fire. Run it with River 0.26.1 installed: python goldens.py

A line is: stream | options, as worker.yaml calls them | positions of changes | positions of warnings.
first-last stands for all positions between, too.
"""

import importlib.metadata

import streams
from river import drift
from river.drift import kswin as kswin_module

STEPS = "normal 1 1000,0,1 1000,1,1 1000,1,3 1000,-2,1"
SMALL = "normal 2 2000,0.5,0.1 2000,0.55,0.1 2000,0.4,0.1"
LEVEL = "normal 3 4000,100,20 1000,160,20"
STILL = "normal 4 20000,0,1"
RAMP = "ramp 5 2000,0,0 3000,0,4 1000,4,4"
SKEWED = "skewed 6 2000,0,1 2000,0.2,1 2000,0,3"
RATES = "bernoulli 7 1000,0.1,0 1000,0.3,0 1000,0.05,0 1000,0.6,0"
SLOW = "bernoulli 8 3000,0.2,0 500,0.22,0 500,0.25,0 500,0.28,0 2000,0.3,0"
RARE = "bernoulli 9 3000,0.01,0 3000,0.04,0 3000,0.01,0"
BITS = "bernoulli 10 20000,0.5,0"
REALS = [STEPS, SMALL, LEVEL, STILL, RAMP, SKEWED, "published adwin_regression", "published documentation"]
ERRORS = [RATES, SLOW, RARE, BITS, "published binary_documentation"]
PARTS = ["normal 11 500,0.3,0.05 500,0.4,0.05 500,0.2,0.05", "skewed 12 1000,0,1 1000,0.15,0.8"]


class Draws:
    """Stands in for random.Random in KSWIN: draws are a function of seed and number of values since the reset."""

    def __init__(self, seed, first):
        self.seed, self.n = seed or 0, first

    def sample(self, population, k):
        taken, order = set(), []
        state = streams.split_mix(self.seed ^ streams.split_mix(self.n))
        self.n += 1
        for last in range(len(population) - k, len(population)):
            state = (state + streams.GAMMA) & streams.MASK
            at = (streams.split_mix(state) * (last + 1)) >> 64
            at = last if at in taken else at
            taken.add(at)
            order.append(population[at])
        return order


def kswin(**options):
    class Module:
        @staticmethod
        def Random(seed):
            return Draws(seed, options.get("window_size", 100))

    kswin_module.random = Module
    return drift.KSWIN(**options)


# River's names of options, where they are not ours.
NAMES = {
    "page_hinkley": {"warm_up": "min_instances"},
    "adwin": {"warm_up": "grace_period"},
    "kswin": {"window": "window_size", "sample": "stat_size"},
    "ddm": {"warm_up": "warm_start", "warning": "warning_threshold", "drift": "drift_threshold"},
    "hddm_a": {"two_sided": "two_sided_test"},
    "hddm_w": {"two_sided": "two_sided_test", "lambda": "lambda_val"},
}

MAKE = {
    "page_hinkley": lambda goal="minimize", **o: drift.PageHinkley(mode="down" if goal == "maximize" else "up", **o),
    "adwin": drift.ADWIN,
    "kswin": kswin,
    "ddm": drift.binary.DDM,
    "hddm_a": drift.binary.HDDMA,
    "hddm_w": drift.binary.HDDMW,
}

CASES = {
    "page_hinkley": (REALS, [{}, {"goal": "maximize"}, {"threshold": 5.0, "delta": 0.1},
                             {"threshold": 20.0, "alpha": 0.99, "warm_up": 100}]),
    "adwin": (REALS + ERRORS + PARTS, [{}, {"delta": 0.05}, {"clock": 1, "max_buckets": 2},
                               {"clock": 7, "max_buckets": 9, "min_window_length": 20, "warm_up": 100, "delta": 0.2}]),
    "kswin": (REALS[:3] + REALS[4:] + ["normal 4 3000,0,1"], [{}, {"alpha": 0.0001, "window": 200, "sample": 100, "seed": 42},
                                         {"alpha": 0.05, "window": 60, "sample": 20, "seed": 7}]),
    "ddm": (ERRORS, [{}, {"warm_up": 100, "warning": 1.5, "drift": 2.5}]),
    "hddm_a": (ERRORS + PARTS, [{}, {"two_sided": True}, {"drift_confidence": 0.05, "warning_confidence": 0.2}]),
    "hddm_w": (ERRORS + PARTS, [{}, {"two_sided": True, "lambda": 0.2}, {"drift_confidence": 0.05, "warning_confidence": 0.2},
                                {"two_sided": True, "drift_confidence": 0.01, "lambda": 0.01}]),
}


def positions(detector, values):
    changes, warnings = [], []
    for i, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            changes.append(i)
        if getattr(detector, "warning_detected", False):
            warnings.append(i)
    return changes, warnings


def ranges(numbers):
    runs = []
    for n in numbers:
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return " ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in runs)


def main():
    version = importlib.metadata.version("river")
    streams.write_published()
    for name, (texts, variants) in CASES.items():
        lines = [f"# {name}, by River {version}: stream | options | changes | warnings; written by goldens.py.\n"]
        for text in texts:
            for options in variants:
                river = {NAMES[name].get(key, key): value for key, value in options.items()}
                changes, warnings = positions(MAKE[name](**river), streams.stream(text))
                ours = " ".join(f"{key}={str(value).lower()}" for key, value in options.items())
                lines.append(f"{text} | {ours} | {ranges(changes)} | {ranges(warnings)}\n")
        (streams.HERE / "goldens" / f"{name}.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
