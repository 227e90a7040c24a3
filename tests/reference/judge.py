"""Makes the reference that the tests of src/evaluate, and tests/integration/volume.rs, compare with.

    python3 tests/reference/judge.py eval_scores.py
        writes judge.json

The argument is the judge: a Python file with a function `evaluate(score, label, threshold,
interval_s, vus_window, for_, gap, tol, full)` that needs numpy and scikit-learn, and is no part of
this repository. The inputs are made here and written with the figures, which are not rounded.
"""

import importlib.util
import json
import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent


def labels(count, events):
    label = numpy.zeros(count, dtype=int)
    for first, last in events:
        label[first : last + 1] = 1
    return label


def scores(seed, label, lift, late=0, digits=6):
    """Noise that follows itself, lifted in events from `late` samples after their start on."""
    rng = numpy.random.default_rng(seed)
    score = numpy.abs(rng.standard_normal(len(label))) * 0.4
    score += 0.3 * numpy.abs(numpy.sin(numpy.arange(len(label)) / 17))
    lifted = label.copy()
    for _ in range(late):
        lifted[1:] &= lifted[:-1].copy()
    score += lift * lifted * rng.random(len(label))
    return numpy.round(score, digits)


def cases():
    events = [(60, 79), (150, 152), (230, 260)]
    label = labels(400, events)
    base = scores(1, label, 1.5)
    yield "plain", base, label, 1.0, {}
    yield "ties", scores(2, label, 1.0, digits=1), label, 0.8, {"gap": 3}
    holed = scores(3, label, 1.5, late=2)
    holed[[0, 1, 2, 65, 66, 150, 151, 152, 300]] = numpy.nan
    holed[301] = numpy.inf
    holed[302] = -numpy.inf
    yield "missing", holed, label, 0.9, {"gap": 4}
    edges = labels(300, [(0, 9), (120, 121), (125, 140), (290, 299)])
    yield "borders", scores(4, edges, 1.2), edges, 0.9, {"tol": 3, "window": 40}
    one = labels(250, [(100, 130)])
    yield "one event", scores(5, one, 0.8, late=5), one, 1.0, {"interval_s": 15.0, "window": 60}
    moving = 0.8 + 0.4 * numpy.sin(numpy.arange(400) / 25)
    moving[200:205] = numpy.nan
    yield "moving threshold", base, label, numpy.round(moving, 6), {"gap": 2}
    yield "slow rule", scores(6, label, 2.0, late=3), label, 0.7, {"for_": 3, "gap": 8}
    short = {"interval_s": 300.0, "window": 20, "gap": 2, "for_": 2, "tol": 4}
    yield "tolerance", scores(7, label, 0.7, late=4), label, 0.6, short
    after = numpy.zeros(200)
    after[[30, 54, 94, 130]] = 1.0
    yield "late alarms", after, labels(200, [(20, 29), (50, 51), (90, 91)]), 0.5, {"tol": 3, "gap": 1}
    yield "never above", base, label, 99.0, {}
    yield "no event", base[:90], labels(90, []), 0.9, {"gap": 1}
    yield "all anomalous", base[:50], labels(50, [(0, 49)]), 0.9, {"gap": 1}
    yield "no score", numpy.full(60, numpy.nan), labels(60, [(20, 24)]), 0.5, {"window": 10}
    yield "two samples", numpy.array([0.0, 1.0]), labels(2, [(1, 1)]), 0.5, {"window": 3}
    many = labels(1500, [(i, i + 1 + i % 7) for i in range(40, 1480, 53)])
    yield "many events", scores(8, many, 1.0, digits=2), many, 1.2, {"interval_s": 60.0, "gap": 5}


def plain(value):
    """Numbers as JSON has them; what is no number is null."""
    value = float(value)
    return value if numpy.isfinite(value) else None


def text(value):
    """A score as text: JSON knows no infinity."""
    return repr(float(value))


def main(judge):
    spec = importlib.util.spec_from_file_location("judge", judge)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = []
    for name, score, label, threshold, given in cases():
        settings = {"interval_s": 60.0, "window": 100, "for_": 1, "gap": 10, "tol": 0, **given}
        window = settings.pop("window")
        found = module.evaluate(
            score, label, threshold=threshold, vus_window=window, full=False, **settings
        )
        above = numpy.isfinite(score) & (score > threshold)
        normal = label == 0
        found["at_threshold"]["false_positive_rate"] = (
            float(above[normal].mean()) if normal.any() else None
        )
        found["at_threshold"].pop("threshold")
        written.append(
            {
                "name": name,
                "settings": {
                    "step_ms": int(settings["interval_s"] * 1000),
                    "vus_window": window,
                    "for_steps": settings["for_"],
                    "merge_gap": settings["gap"],
                    "tolerance": settings["tol"],
                },
                "scores": " ".join(map(text, score)),
                "labels": "".join(map(str, label)),
                "thresholds": " ".join(map(text, numpy.atleast_1d(threshold))),
                "expected": found,
            }
        )
    # numpy's own number types become JSON's.
    (HERE / "judge.json").write_text(json.dumps(written, indent=1, default=plain) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
