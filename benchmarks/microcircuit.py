"""The cortical microcircuit of Potjans & Diesmann 2014: memory, real-time factor, rates beside the published ones.

    python -m benchmarks.microcircuit                          # a tenth of the neurons, each with a tenth of its synapses
    python -m benchmarks.microcircuit --scale 1 --seconds 0.1  # 77,169 neurons, 0.3 billion synapses

There is no bar. The real-time factor is processor time over biological time of a run whose program is compiled already. Published ones, on
their own
hardware at full scale: NEST 2.47 on 12 nodes (2018), 0.53 on two 128-core nodes (2022); GeNN 0.70 on a Titan RTX (2021).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import cortexspec as cs

SPEC = Path(__file__).parents[1] / "specs" / "gallery" / "potjans_diesmann.cortex"
# Potjans & Diesmann 2014, figure 6, in Hz.
PUBLISHED = {
    "L23E": 0.86, "L23I": 2.80, "L4E": 4.45, "L4I": 5.93, "L5E": 7.59, "L5I": 8.64, "L6E": 1.09, "L6I": 7.88,
}  # fmt: skip
SETTLING = 100  # ms that are not counted in rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=0.5, help="biological time that is measured")
    parser.add_argument("--backend", default="jax")
    chosen = parser.parse_args()

    begun = time.process_time()
    simulation = cs.compile(
        SPEC,
        "microcircuit",
        {"scale": chosen.scale},
        backend=chosen.backend,
        dt="0.1 ms",
        duration=f"{SETTLING + 1000 * chosen.seconds} ms",
        solver="exact",
    )
    record = [f"{name}.spike" for name in PUBLISHED]
    run = simulation.simulate(record=record)
    built = time.process_time() - begun
    print(f"built, compiled and run once in {built:.0f} s of processor time", flush=True)

    begun = time.process_time()
    run = simulation.simulate(record=record)
    spent = time.process_time() - begun
    synapses = sum(size for name, size in simulation.sizes.items() if name.endswith(".edges"))
    neurons = {name: run[f"{name}.spike"].shape[-1] for name in PUBLISHED}
    print(f"{sum(neurons.values()):,} neurons, {synapses:,} synapses, {chosen.backend}")
    length = chosen.seconds + SETTLING / 1000
    print(f"{length:g} s of biological time in {spent:.1f} s of processor time")
    print(f"real-time factor {spent / length:.1f}")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")
    for name, published in PUBLISHED.items():
        rate = float(run[f"{name}.spike"].values[:, SETTLING * 10 :].mean())
        print(f"{name:5} {neurons[name]:>7,} neurons {rate:6.2f} Hz, published {published:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
