"""Drawn circuits, whole: every backend gives the interpreter's values and gradients, with the passes and without.

`python tests/properties/test_circuits.py --backend torch --count 500` draws as many as you like, others each time, and shrinks what it
finds to the smallest circuit that shows it.
"""

import argparse
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cortexspec.runtime.registry import load_backend
from cortexspec.testing.circuits import Drawn, circuits, disagreements

# The framework, and how many circuits are drawn. JAX compiles for seconds each: by the command alone.
BACKENDS = {"interpreter": ("numpy", 12), "torch": ("torch.nn", 12)}


def search(backend: str, count: int, derandomize: bool) -> int:
    """How many circuits were run. Raises: AssertionError with the smallest circuit on which a backend differs."""
    engine = load_backend(backend)
    seen = 0

    # A test tells the first circuit that it finds; the search makes it small first.
    phases = [Phase.generate] if derandomize else [Phase.generate, Phase.shrink]
    tuned = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)

    @settings(tuned, max_examples=count, derandomize=derandomize, phases=phases)
    @given(circuits())
    def agree(drawn: Drawn) -> None:
        nonlocal seen
        seen += 1
        if not derandomize:
            print(f"\r{seen} circuits", end="", file=sys.stderr, flush=True)
        assert disagreements(engine, drawn) == []

    agree()
    return seen


@pytest.mark.parametrize("backend", BACKENDS)
def test_drawn_circuits_are_the_same_on_every_backend(backend: str) -> None:
    framework, count = BACKENDS[backend]
    pytest.importorskip(framework)
    assert search(backend, count, derandomize=True) >= count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    print(f"\n{search(options.backend, options.count, derandomize=False)} circuits agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
