"""The workload of `benchmarks.rnn` in JAX by hand: `lax.scan`, `jax.value_and_grad`, and one jitted step with Adam.

Parameters and moments are donated. The inputs are multiplied in each step, or in one product in front of the scan;
which is faster is measured.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.rivals.program import Training
from benchmarks.rnn_workload import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATE,
    NAMES,
    OFFSET,
    STRENGTH,
    Case,
    Problem,
)

Trained = dict[str, Array]


def batch_first(p: Trained, x: Array) -> Array:
    """h [batch, N]; x [time, batch, channel]."""

    def step(h: Array, frame: Array) -> tuple[Array, None]:
        return jax.nn.relu(h @ p["W"].T + frame @ p["V"].T + p["b"]), None

    end, _ = lax.scan(step, jnp.zeros((x.shape[1], len(p["b"])), x.dtype), x)
    return end @ p["U"].T + p["c"]


def batch_first_ahead(p: Trained, x: Array) -> Array:
    """The same, all inputs multiplied at once."""
    drive = x @ p["V"].T + p["b"]

    def step(h: Array, frame: Array) -> tuple[Array, None]:
        return jax.nn.relu(frame + h @ p["W"].T), None

    end, _ = lax.scan(step, jnp.zeros_like(drive[0]), drive)
    return end @ p["U"].T + p["c"]


def batch_last(p: Trained, x: Array) -> Array:
    """h [N, batch]."""

    def step(h: Array, frame: Array) -> tuple[Array, None]:
        return jax.nn.relu(p["W"] @ h + p["V"] @ frame + p["b"][:, None]), None

    end, _ = lax.scan(step, jnp.zeros((len(p["b"]), x.shape[1]), x.dtype), x.transpose(0, 2, 1))
    return (p["U"] @ end).T + p["c"]


def batch_last_ahead(p: Trained, x: Array) -> Array:
    """The same, all inputs multiplied at once."""
    drive = jnp.einsum("nc,tbc->tnb", p["V"], x) + p["b"][:, None]

    def step(h: Array, frame: Array) -> tuple[Array, None]:
        return jax.nn.relu(frame + p["W"] @ h), None

    end, _ = lax.scan(step, jnp.zeros_like(drive[0]), drive)
    return (p["U"] @ end).T + p["c"]


FORMS: dict[str, Callable[[Trained, Array], Array]] = {
    "lax.scan, batch first": batch_first,
    "lax.scan, batch first, inputs ahead": batch_first_ahead,
    "lax.scan, batch last": batch_last,
    "lax.scan, batch last, inputs ahead": batch_last_ahead,
}


def penalty(W: Array, D: Array) -> Array:
    """λ sum |W| D C(|W|), D without its diagonal."""
    A = jnp.abs(W)
    root = lax.rsqrt(A.sum(0) + OFFSET)
    C = jax.scipy.linalg.expm(root[:, None] * A * root)
    return STRENGTH * jnp.sum(A * D * C)


def bind(case: Case, problem: Problem, logits: Callable[[Trained, Array], Array]) -> Training:
    x, label = jnp.asarray(problem.x.transpose(1, 0, 2)), jnp.asarray(problem.label)
    D = jnp.asarray(problem.D * (1 - np.eye(case.n)), problem.D.dtype)
    start = {name: jnp.array(array) for name, array in problem.trained().items()}

    def loss(p: Trained) -> Array:
        found = logits(p, x)
        of_data = jnp.mean(jax.nn.logsumexp(found, 1) - found[jnp.arange(len(label)), label])
        return of_data + penalty(p["W"], D) if case.penalty else of_data

    both = jax.jit(jax.value_and_grad(loss))

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(p: Trained, mean: Trained, square: Trained, count: Array) -> tuple[Trained, Trained, Trained, Array]:
        value, gradients = jax.value_and_grad(loss)(p)
        mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradients)
        square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, gradients)
        first, second = 1 / (1 - BETA1**count), 1 / (1 - BETA2**count)

        def moved(value: Array, m: Array, v: Array) -> Array:
            return value - LEARNING_RATE * (m * first) / (jnp.sqrt(v * second) + EPSILON)

        return jax.tree.map(moved, p, mean, square), mean, square, value

    zeros = {name: np.zeros_like(array) for name, array in problem.trained().items()}
    state = [jax.tree.map(jnp.copy, start), *(jax.tree.map(jnp.array, zeros) for _ in range(2))]
    done = 0

    def step() -> float:
        nonlocal done
        done += 1
        *state[:], value = update(*state, np.asarray(done, problem.x.dtype))
        return float(value)

    def value_and_gradients() -> tuple[float, tuple[object, ...]]:
        value, gradients = both(start)
        return float(value), tuple(np.asarray(gradients[name]) for name in NAMES)

    return Training(step, value_and_gradients)


def programs(case: Case, problem: Problem) -> dict[str, Training]:
    return {name: bind(case, problem, form) for name, form in FORMS.items()}


def penalty_program(problem: Problem) -> Training:
    """Only the penalty, forward and backward, by W."""
    W, D = jnp.array(problem.W), jnp.asarray(problem.D * (1 - np.eye(len(problem.D))), problem.D.dtype)
    both = jax.jit(jax.value_and_grad(lambda W: penalty(W, D)))

    def value_and_gradients() -> tuple[float, tuple[object, ...]]:
        value, gradient = both(W)
        return float(value), (np.asarray(gradient),)

    return Training(value_and_gradients, value_and_gradients)
