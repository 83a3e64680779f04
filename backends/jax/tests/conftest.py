"""Settings of the JAX tests."""

import pytest

pytest.importorskip("jax")

import jax


@pytest.fixture(autouse=True)
def quick_compilation():
    """These tests compile a program each and run it once: XLA's expensive passes would be most of their time."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
