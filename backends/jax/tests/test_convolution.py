"""Convolutions that do not go through XLA's own: the same values, and gradients in either mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cortexspec_jax.emit import helpers
from jax import lax

SIZES = [(1, 1, 1), (3, 1, 1), (1, 3, 3), (2, 3, 5), (1, 7, 7), (3, 7, 7)]
"""Channels, rows and columns of a kernel, with 1 to 147 products to sum."""


def drawn(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(len(shape)).standard_normal(shape))


def expected(image: jax.Array, kernel: jax.Array, groups: int = 1) -> jax.Array:
    around = [(size // 2, size // 2) for size in kernel.shape[2:]]
    return lax.conv_general_dilated(
        image, kernel, (1, 1), around, dimension_numbers=("CHWN", "OIHW", "CHWN"), feature_group_count=groups
    )


def expected_depthwise(image: jax.Array, kernel: jax.Array) -> jax.Array:
    return expected(image, kernel[:, None], len(image))


def cases() -> list:
    dense = [(helpers.conv2d, expected, (c, 9, 8, 4), (2, c, h, w)) for c, h, w in SIZES]
    deep = [
        (helpers.depthwise_conv2d, expected_depthwise, (3, 9, 8, 4), (3, h, w)) for h, w in ((1, 1), (3, 3), (5, 3))
    ]
    return [pytest.param(*case, id="x".join(map(str, case[3]))) for case in (*dense, *deep)]


@pytest.mark.parametrize(("ours", "theirs", "image_shape", "kernel_shape"), cases())
def test_a_convolution_and_its_derivatives_are_those_of_xla(ours, theirs, image_shape, kernel_shape):
    with jax.enable_x64(True):
        primals = drawn(*image_shape), drawn(*kernel_shape)
        tangents = drawn(*image_shape) + 1, drawn(*kernel_shape) - 1
        np.testing.assert_allclose(ours(*primals), theirs(*primals), atol=1e-12)
        for change, wanted in zip(jax.jvp(ours, primals, tangents), jax.jvp(theirs, primals, tangents), strict=True):
            np.testing.assert_allclose(change, wanted, atol=1e-12)

        def loss(convolve):
            return jax.jit(jax.grad(lambda image, kernel: jnp.sum(jnp.sin(convolve(image, kernel))), (0, 1)))

        for found, wanted in zip(loss(ours)(*primals), loss(theirs)(*primals), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-11)


def test_images_may_have_no_samples_or_two_axes_of_them():
    with jax.enable_x64(True):
        kernel, images = drawn(2, 3, 3, 3), drawn(3, 6, 5, 2, 4)
        together = helpers.conv2d(images, kernel)
        np.testing.assert_allclose(helpers.conv2d(images[..., 1, 2], kernel), together[..., 1, 2], atol=1e-13)
        mapped = jax.vmap(helpers.conv2d, (3, None), 3)(images, kernel)
        np.testing.assert_allclose(mapped, together, atol=1e-13)
