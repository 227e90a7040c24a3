"""Makes the reference that tests/integration/onnx_reference.rs compares with.

    python3 tests/reference/onnx_reference.py data
        writes small.csv, from which the model is trained:
        portent train --input tests/reference/small.csv --output tests/reference/small.onnx
    python3 tests/reference/onnx_reference.py outputs
        runs small.onnx in ONNX Runtime's own Python package and writes small.json

Needs onnxruntime and numpy (`make onnxruntime` and PYTHONPATH=.onnxruntime, pip install numpy).
"""

import json
import math
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).parent


def data():
    """Four metrics that follow one load, and one that never moves."""
    rng = random.Random(4)
    lines = ["timestamp,cpu,memory,requests,queue,errors"]
    for step in range(600):
        load = 0.5 + 0.3 * math.sin(step / 40) + 0.1 * math.sin(step / 7)
        noise = [rng.gauss(0, 0.01) for _ in range(4)]
        cpu = load + noise[0]
        memory = 4e9 + 2e9 * (load + noise[1])
        requests = 900 * (load + noise[2])
        queue = max(0.0, 12 * (load + noise[3] - 0.4))
        time = 1_795_428_900 + 15 * step
        lines.append(f"{time},{cpu:.4f},{memory:.0f},{requests:.1f},{queue:.2f},0")
    (HERE / "small.csv").write_text("\n".join(lines) + "\n")


def outputs():
    """Rows inside, at the edge of and far outside of what the model has seen."""
    import numpy
    import onnxruntime

    rows = [
        [0.5, 5.0e9, 450.0, 1.2, 0.0],
        [0.8, 5.6e9, 720.0, 4.8, 0.0],
        [0.1, 4.2e9, 90.0, 0.0, 0.0],
        [0.8, 4.2e9, 90.0, 0.0, 0.0],
        [0.5, 5.0e9, 450.0, 1.2, 10.0],
        [25.0, -4.0e12, 1.0e6, 300.0, 0.25],
    ]
    session = onnxruntime.InferenceSession(
        str(HERE / "small.onnx"), providers=["CPUExecutionProvider"]
    )
    names = ["score", "contribution", "reconstruction"]
    values = session.run(names, {"features": numpy.array(rows, dtype=numpy.float32)})
    reference = {"version": onnxruntime.__version__, "features": rows}
    for name, value in zip(names, values):
        # Every digit that float32 has.
        reference[name] = value.astype(float).tolist()
    (HERE / "small.json").write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    {"data": data, "outputs": outputs}[sys.argv[1]]()
