"""`python -m benchmarks.wiring`: CPU time and memory of drawing 5e6 connections among 1e4 neurons and 1e8 among 1e5, rule by rule.

Each case is drawn in a process of its own. Memory is the largest resident size while the edges are drawn, less what the process had
before; the bar is 16 bytes an edge and what a chunk of draws takes. Exits with 1 where a bar is missed, or a rule gave other than
K connections a neuron.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import add_machine_options, pin_to_one_core

SPEC = Path(__file__).parent / "specs" / "wiring.cortex"
RULES = ("constant", "cosine", "von_mises", "indegree", "indegree_multapses", "outdegree", "total")
SIZES = ((10_000, 500), (100_000, 1000))
BYTES_AN_EDGE = 16
CHUNK = 192 * 2**20


def drawn(rule: str, neurons: int, degree: int) -> dict[str, Any]:
    """Draws in this process. `bytes` counts from the moment before the draw."""
    from cortexspec.analysis.elaborate import elaborate
    from cortexspec.language.parse import parse_spec
    from cortexspec.runtime.compile import lowered
    from cortexspec.runtime.wiring import drawn_edges

    spec, _ = parse_spec(SPEC.read_text(encoding="utf-8"))
    assert spec is not None
    model, mistakes = elaborate(spec, rule, {"N": neurons, "K": degree})
    assert model is not None, mistakes
    module = lowered(model)
    before = _peak()
    start = time.process_time()
    edges = drawn_edges(model, module, module.sizes, seed=1)
    seconds = time.process_time() - start
    count = edges.sizes["wires.edges"]
    held = sum(array.nbytes for array in edges.arrays.values())
    return {"edges": count, "seconds": seconds, "bytes": _peak() - before, "held": held}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def missed(found: Mapping[str, Any], neurons: int, degree: int) -> bool:
    """Over the bar of memory, or wrong: K connections a neuron on average, within 5 standard deviations of independent pairs."""
    wanted = neurons * degree
    return found["bytes"] > BYTES_AN_EDGE * found["edges"] + CHUNK or abs(found["edges"] - wanted) > 5 * wanted**0.5


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wiring", description=__doc__.split("\n")[0])
    parser.add_argument("--rule", choices=RULES, action="append", help="one of the rules only")
    parser.add_argument("--size", type=int, action="append", choices=range(len(SIZES)), help="one of the sizes only")
    add_machine_options(parser, "lines")
    parser.add_argument("--here", nargs=3, metavar=("RULE", "N", "K"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.here:  # on the core of the process that started it, with the C library's own ways
        rule, neurons, degree = chosen.here
        print(json.dumps(drawn(rule, int(neurons), int(degree))))
        return 0
    pin_to_one_core(chosen.core)
    rows: list[dict[str, Any]] = []
    for neurons, degree in (SIZES[place] for place in chosen.size or range(len(SIZES))):
        for rule in chosen.rule or RULES:
            command = [sys.executable, "-m", "benchmarks.wiring", "--here", rule, str(neurons), str(degree)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row = {"rule": rule, "N": neurons, "K": degree, **found, "missed": missed(found, neurons, degree)}
            rows.append(row)
            if not chosen.json:
                print(
                    f"{rule:20} N {neurons:7} K {degree:5}: {found['edges']:10} edges, {found['seconds']:6.1f} s CPU, "
                    f"{found['bytes'] / 2**20:7.0f} MiB, {found['bytes'] / found['edges']:5.1f} bytes an edge, "
                    f"{found['held'] / found['edges']:.1f} held{', MISSED' if row['missed'] else ''}",
                    flush=True,
                )
    if chosen.json:
        print(json.dumps(rows, indent=2))
    return int(any(row["missed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
