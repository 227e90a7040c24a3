"""Makes the reference that the tests of src/train/threshold compare with.

    python3 tests/reference/threshold.py
        writes threshold.json

Needs numpy and scipy. The samples are recipes that any language can follow to the last digit or
nearly so: u(i, k) = fraction(i * STEPS[k]), i from 1, evenly spread over 0..1.
"""

import json
import pathlib

import numpy
from scipy import stats

HERE = pathlib.Path(__file__).parent
STEPS = [0.6180339887498949, 0.41421356237309515, 0.7320508075688772, 0.6457513110645906]


def sample(recipe, n):
    i = numpy.arange(1, n + 1, dtype=float)
    u = [(i * step) % 1.0 for step in STEPS]
    return {
        "uniform": lambda: u[0],
        "exponential": lambda: -numpy.log(1.0 - u[0]),
        "heavy": lambda: (1.0 - u[0]) ** -0.3,
        # Nearly normal: a sum of four.
        "bell": lambda: u[0] + u[1] + u[2] + u[3],
        # Box and Muller's.
        "normal": lambda: numpy.sqrt(-2.0 * numpy.log(1.0 - u[0])) * numpy.cos(2.0 * numpy.pi * u[1]),
    }[recipe]()


def normality(recipe, n):
    x = sample(recipe, n)
    w, w_p = stats.shapiro(x)
    d = stats.kstest(x, stats.norm(x.mean(), x.std(ddof=1)).cdf).statistic
    # Mean and sigma are estimated anew for each draw: what Lilliefors did.
    rng = numpy.random.default_rng(7)
    draws = numpy.sort(rng.standard_normal((4000, n)), axis=1)
    draws = (draws - draws.mean(axis=1)[:, None]) / draws.std(axis=1, ddof=1)[:, None]
    below = stats.norm.cdf(draws)
    i = numpy.arange(n)
    distances = numpy.maximum((i + 1) / n - below, below - i / n).max(axis=1)
    d_p = float((distances >= d).mean())
    return {"recipe": recipe, "n": n, "w": w, "w_p": w_p, "d": float(d), "d_p": d_p}


def main():
    reference = {
        "scipy": __import__("scipy").__version__,
        "normality": [
            normality(*case)
            for case in [
                ("bell", 20),
                ("bell", 90),
                ("bell", 400),
                ("bell", 5000),
                ("normal", 30),
                ("normal", 60),
                ("normal", 1000),
                ("normal", 5000),
                ("uniform", 25),
                ("uniform", 50),
                ("uniform", 300),
                ("exponential", 20),
                ("exponential", 50),
                ("heavy", 5000),
            ]
        ],
    }
    text = json.dumps(reference, indent=1, default=float)
    (HERE / "threshold.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
