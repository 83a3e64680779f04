"""Kernels of small products and of rows against the plain forms: values and every kind of derivative, in double precision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
from cortexspec_jax.emit import helpers

FLIPS = list(itertools.product((False, True), repeat=2))
SHAPES = [(9, 3, 4, 2), (10, 30, 17, 19)]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def kernels():
    if not helpers.product_kernels():
        pytest.skip("no C++ compiler")


def operands(shape, flips, seed=0):
    count, rows, terms, columns = shape
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(count, rows, terms)), random.normal(size=(count, terms, columns))
    return [jnp.asarray(np.swapaxes(x, 1, 2) if flip else x) for x, flip in zip((a, b), flips, strict=True)]


def close(found, wanted, tolerance=1e-12):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1.0, float(jnp.abs(other).max())))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_products_and_their_gradient(shape, flips):
    a, b = operands(shape, flips)

    def results(product, a, b):
        value, pull = jax.vjp(lambda a, b: product(a, b, flips), a, b)
        return value, *pull(jnp.cos(value))

    kernel = jax.jit(lambda a, b: results(helpers.small_products, a, b))
    assert "cortexspec_products" in kernel.lower(a, b).as_text()
    close(kernel(a, b), results(helpers.flipped_product, a, b))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("flips", FLIPS)
def test_further_derivatives_and_batches(flips):
    a, b = operands((8, 3, 2, 4), flips)

    def results(product):
        def total(a, b):
            return jnp.sum(jnp.sin(product(a, b, flips)))

        forward = jax.jvp(total, (a, b), (b.sum() * a, a.sum() * b))
        second = jax.grad(lambda a: jnp.sum(jax.grad(total, 1)(a, b) ** 2))(a)
        several = jnp.stack([b, 2 * b], 1)
        one = jax.vmap(jax.grad(total, (0, 1)), (None, 1))(a, several)
        both = jax.vmap(jax.grad(total, (0, 1)), (0, 1))(jnp.stack([a, a + 1]), several)
        return forward, second, one, both

    close(jax.jit(lambda: results(helpers.small_products))(), results(helpers.flipped_product), 1e-11)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("trials", [(), (5,), (3, 7)])
def test_rows(trials, monkeypatch):
    random = np.random.default_rng(1)
    weight, x = jnp.asarray(random.normal(size=(3, 40))), jnp.asarray(random.normal(size=(11, *trials)))
    index = jnp.asarray(random.integers(11, size=(3, 40)))

    def gradients(weight, x):
        return jax.grad(lambda weight, x: jnp.sum(jnp.sin(helpers.sparse_product(weight, index, x))), (0, 1))(weight, x)

    kernel = jax.jit(gradients)
    assert "cortexspec_rows_flow" in kernel.lower(weight, x).as_text()
    found = kernel(weight, x), jax.vmap(gradients, (None, 0))(weight, jnp.stack([x, -x]))
    monkeypatch.setattr(helpers, "product_kernels", lambda: False)
    close(found, (gradients(weight, x), jax.vmap(gradients, (None, 0))(weight, jnp.stack([x, -x]))))
