"""River's detectors over JSON lines: one request a line on standard input, one answer a line on standard output.

{"op": "first", "streams": {"adwin": 2}, "length": 500, "number": 0, "data": "…"} -> {"alarms": {"adwin": [0, 131]}}
{"op": "time", "detector": "adwin", "seconds": 0.2, "data": "…"}                  -> {"nanoseconds": 240.1}

data is base64 of little-endian float64. For "first" these are streams of that length, one after another, the first of
them with that number, of which each detector judges as many as streams says. An alarm is the number of the report, from 1, at which drift_detected is first true; 0 if it
never is. The first line out is {"river": version, "detectors": […]}. Whatever goes wrong comes as {"error": text}.
"""

import array
import base64
import json
import sys
import time

import river
from river import drift
from river.drift import binary

# Each as it comes; KSWIN draws a sample of its window, so it is given a seed.
DETECTORS = {
    "adwin": lambda seed: drift.ADWIN(),
    "kswin": lambda seed: drift.KSWIN(seed=seed),
    "page_hinkley": lambda seed: drift.PageHinkley(),
    "ddm": lambda seed: binary.DDM(),
    "eddm": lambda seed: binary.EDDM(),
    "fhddm": lambda seed: binary.FHDDM(),
    "hddm_a": lambda seed: binary.HDDM_A() if hasattr(binary, "HDDM_A") else binary.HDDMA(),
    "hddm_w": lambda seed: binary.HDDM_W() if hasattr(binary, "HDDM_W") else binary.HDDMW(),
}


def values_of(request):
    values = array.array("d", base64.b64decode(request["data"]))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def first_alarm(detector, values):
    for number, value in enumerate(values, 1):
        detector.update(value)
        if detector.drift_detected:
            return number
    return 0


def first(request):
    values, length = values_of(request), request["length"]
    streams = [values[start : start + length] for start in range(0, len(values), length)]
    return {
        "alarms": {
            name: [first_alarm(DETECTORS[name](request["number"] + i), s) for i, s in enumerate(streams[:count])]
            for name, count in request["streams"].items()
        }
    }


def nanoseconds(request):
    """Goes over the values again and again, in steps that leave the clock out of the loop."""
    values, detector = values_of(request), DETECTORS[request["detector"]](1)
    updates, spent, step = 0, 0.0, 200
    while spent < request["seconds"]:
        start = updates % (len(values) - step + 1)
        some = values[start : start + step]
        update = detector.update
        began = time.perf_counter()
        for value in some:
            update(value)
        spent += time.perf_counter() - began
        updates += step
    return {"nanoseconds": spent / updates * 1e9}


def available():
    names = []
    for name, make in DETECTORS.items():
        try:
            make(1).update(0.0)
            names.append(name)
        except Exception:  # another release of River may lack it
            pass
    return names


def main():
    print(json.dumps({"river": river.__version__, "detectors": available()}), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = {"first": first, "time": nanoseconds}[request["op"]](request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
