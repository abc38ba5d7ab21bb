"""Prints ns per update of River's detectors, the best of 40 runs, on the streams of BenchmarkUpdate."""

import time

import streams
from river import drift

DETECTORS = {
    "adwin": drift.ADWIN(),
    "ddm": drift.binary.DDM(),
    "hddm_a": drift.binary.HDDMA(),
    "hddm_w": drift.binary.HDDMW(),
    "kswin": drift.KSWIN(seed=0),
    "page_hinkley": drift.PageHinkley(),
}


def main():
    uniform = streams.Uniform(1)
    reals = [uniform() for _ in range(1 << 14)]
    errors = [float(x >= 0.5) for x in reals]
    for name, detector in DETECTORS.items():
        values = errors if "dd" in name else reals
        values = values[:200] if name == "kswin" else values[:4096]
        best = float("inf")
        for _ in range(40):
            start = time.perf_counter_ns()
            for value in values:
                detector.update(value)
            best = min(best, (time.perf_counter_ns() - start) / len(values))
        print(f"{name:13} {best:10.0f} ns")


if __name__ == "__main__":
    main()
