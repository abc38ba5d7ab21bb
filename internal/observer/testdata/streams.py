"""Streams that Go generates alike (streams_test.go): only +, −, × and a SplitMix64, each rounded once.

A stream is written as: shape seed piece piece …, a piece being length,level,spread. The shapes are
  normal     level + spread × (sum of 12 uniforms − 6)
  ramp       as normal with spread 1, its level going from level towards spread
  skewed     level + spread × uniform⁴
  bernoulli  1 with probability level, else 0
and published NAME is a line of published.txt, a digit a value.
"""

import pathlib
import random

HERE = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def split_mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Uniform:
    def __init__(self, seed):
        self.state = seed

    def __call__(self):
        self.state = (self.state + GAMMA) & MASK
        return (split_mix(self.state) >> 11) * 2.0**-53


def bell(uniform):
    total = 0.0
    for _ in range(12):
        total += uniform()
    return total - 6.0


def value(shape, uniform, i, length, level, spread):
    if shape == "normal":
        return level + spread * bell(uniform)
    if shape == "ramp":
        return level + (spread - level) * (i / length) + bell(uniform)
    u = uniform()
    if shape == "skewed":
        return level + spread * ((u * u) * (u * u))
    return 1.0 if u < level else 0.0


def stream(text):
    shape, seed, *pieces = text.split()
    if shape == "published":
        return [float(digit) for digit in published()[seed]]
    uniform, values = Uniform(int(seed)), []
    for piece in pieces:
        length, level, spread = (float(x) for x in piece.split(","))
        values += [value(shape, uniform, i, length, level, spread) for i in range(int(length))]
    return values


def published():
    """The streams of River's own tests and documentation, which Python's random makes."""
    four, steps, bits = random.Random(42), random.Random(12345), random.Random(42)
    low, high = [0, 1], range(4, 8)
    return {
        "adwin_regression": four.choices(low, k=1000) + four.choices(high, k=1000)
        + four.choices(low, k=1000) + four.choices(high, k=1000),
        "documentation": steps.choices(low, k=1000) + steps.choices(high, k=1000),
        "binary_documentation": bits.choices(low, k=1000) + bits.choices(low, k=1000, weights=[0.3, 0.7]),
    }


def write_published():
    lines = ["# The streams of River's tests and documentation, a digit a value; written by goldens.py.\n"]
    lines += [f"{name} {''.join(map(str, digits))}\n" for name, digits in published().items()]
    (HERE / "published.txt").write_text("".join(lines))
