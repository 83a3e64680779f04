"""The workload of `benchmarks.elm` in JAX by hand: `lax.scan` with the batch last, under `jax.value_and_grad`.

Synapses are read and summed, or multiplied as a matrix with zeros; the step as it is, or under `jax.checkpoint`. Each is also
compiled for vectors of 512 bits ("wide"), which a caller may ask of the outermost `jit`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.elm_workload import BRANCHES, DECAY_R, GAIN, MEMORY, NAMES, N, Problem, Program

Trained = dict[str, jax.Array]
COMPILER = {"": None, ", wide": {"xla_cpu_prefer_vector_width": 512}}
CHECKPOINT = "checkpointed"


def gathered(p: Trained, pre: jax.Array, v: jax.Array) -> jax.Array:
    """All rows at once."""
    return jnp.einsum("jk,jkb->jb", p["w"], v[pre])


def slot_by_slot(p: Trained, pre: jax.Array, v: jax.Array) -> jax.Array:
    """A synapse of every branch at a time."""
    total = p["w"][:, 0, None] * v[pre[:, 0]]
    for k in range(1, pre.shape[1]):
        total = total + p["w"][:, k, None] * v[pre[:, k]]
    return total


def dense(p: Trained, pre: jax.Array, v: jax.Array) -> jax.Array:
    """A matrix with zeros, which is made in front of the loop."""
    return p["matrix"] @ v


ARRIVING: dict[str, Callable[[Trained, jax.Array, jax.Array], jax.Array]] = {
    "gathered": gathered,
    "slot by slot": slot_by_slot,
    "dense": dense,
}


def loss(p: Trained, x: jax.Array, fixed: dict[str, jax.Array], arriving: Any, checkpointed: bool) -> jax.Array:
    """x [time, input, batch]."""
    batch, pre = x.shape[-1], fixed["pre"]
    decay, rate = fixed["decay"][:, None], fixed["rate"][:, None]
    if arriving is dense:
        matrix = jnp.zeros((len(pre), x.shape[1] + N), x.dtype)
        p = {**p, "matrix": matrix.at[jnp.arange(len(pre))[:, None], pre].add(p["w"])}

    def step(carry: tuple[jax.Array, ...], frame: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array]:
        m, r, a = carry
        s = arriving(p, pre, jnp.concatenate([frame, a])).reshape(N, BRANCHES, batch)
        kept = decay * m
        h = jnp.square(jax.nn.relu(p["W1"] @ jnp.concatenate([GAIN * s, kept], 1) + p["c1"][..., None]))
        m = kept + rate * jnp.tanh(2 / 3 * (p["W2"] @ h + p["c2"][..., None]))
        z = jnp.einsum("nm,nmb->nb", p["Wy"], m)
        r = DECAY_R * r + (1 - DECAY_R) * z
        a = jax.nn.relu(z - r + p["b"][:, None])
        return (m, r, a), a

    start = (jnp.zeros((N, MEMORY, batch), x.dtype), *(jnp.zeros((N, batch), x.dtype) for _ in range(2)))
    _, a = lax.scan(jax.checkpoint(step) if checkpointed else step, start, x)
    return jnp.mean(jnp.square(a - 1))


def bind(problem: Problem, arriving: Any, checkpointed: bool, options: Any) -> Program:
    x = jnp.asarray(problem.x.transpose(1, 2, 0))
    p = {name: jnp.asarray(array) for name, array in problem.trained().items()}
    given = {"pre": problem.pre, "decay": problem.decay.astype(x.dtype), "rate": problem.rate.astype(x.dtype)}
    fixed = {name: jnp.asarray(array) for name, array in given.items()}
    value = partial(loss, arriving=arriving, checkpointed=checkpointed)
    forward = jax.jit(value, compiler_options=options).lower(p, x, fixed).compile()
    both = jax.jit(jax.value_and_grad(value), compiler_options=options).lower(p, x, fixed).compile()

    def value_and_gradients() -> tuple[float, dict[str, np.ndarray[Any, Any]]]:
        found, gradients = both(p, x, fixed)
        return float(found), {name: np.asarray(gradients[name]) for name in NAMES}

    return Program(
        lambda: jax.block_until_ready(forward(p, x, fixed)),
        lambda: jax.block_until_ready(both(p, x, fixed)),
        value_and_gradients,
        both.memory_analysis().temp_size_in_bytes,
    )


def programs(problem: Problem) -> dict[str, Program]:
    """Every formulation, by name."""
    return {
        f"lax.scan, {how}{', ' + CHECKPOINT if checkpointed else ''}{wide}": bind(
            problem, arriving, checkpointed, options
        )
        for wide, options in COMPILER.items()
        for how, arriving in ARRIVING.items()
        for checkpointed in (False, True)
    }
