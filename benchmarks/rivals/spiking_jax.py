"""The spiking workload in JAX by hand: the neurons that fired are listed, and padded rows of their connections added, some at a time."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.spiking_workload import DT, HELD, NEURONS, RESET, TAU, THRESHOLD, Case, Network, Program, rate_of


def programs(case: Case, network: Network) -> dict[str, Program]:
    return {f"event scatter, {rows} rows": _scatter(case, network, rows) for rows in (1, 4)}


def _scatter(case: Case, network: Network, at_once: int) -> Program:
    counts = np.diff(network.rows)
    widest = int(counts.max())
    places = np.arange(len(network.target)) - np.repeat(network.rows[:-1], counts)
    pre = np.repeat(np.arange(NEURONS), counts)
    # One row more, for what pads the list of those that fired; one target more, for what pads rows.
    table = np.full((NEURONS + 1, widest), NEURONS, np.int32)
    table[pre, places] = network.target
    if case.each:
        weights = np.zeros((NEURONS + 1, widest), np.float32)
        weights[pre, places] = network.weight
    else:
        weights = np.append(network.weight, 0).astype(np.float32)
    given = tuple(jnp.asarray(each) for each in (table, weights, network.start))
    run_ = jax.jit(partial(_run, case, float(network.drive), at_once))

    def run() -> Any:
        return jax.block_until_ready(run_(*given))

    return Program(run, lambda: rate_of(np.asarray(run()), case))


def _run(case: Case, drive: float, at_once: int, table: jax.Array, weights: jax.Array, start: jax.Array) -> jax.Array:
    decay = float(np.exp(-DT / TAU))

    def step(state: Any, _: None) -> Any:
        v, held, fired, above = state
        (spikes,) = jnp.nonzero(above, size=NEURONS, fill_value=NEURONS)
        spikes = jnp.append(spikes, jnp.full(at_once, NEURONS))
        count = above.sum()

        def add(inner: Any) -> Any:
            i, v = inner
            some = lax.dynamic_slice(spikes, (i,), (at_once,))
            w = weights[some] if case.each else weights[some][:, None]
            return i + at_once, v.at[table[some]].add(jnp.broadcast_to(w, table[some].shape), mode="drop")

        _, v = lax.while_loop(lambda inner: inner[0] < count, add, (jnp.zeros((), count.dtype), v))
        free = held == 0
        v = jnp.where(free, drive + (v - drive) * decay, RESET)
        above = free & (v > THRESHOLD)
        held = jnp.where(above, HELD, jnp.maximum(held - 1, 0))
        return (jnp.where(above, RESET, v), held, fired + above, above), None

    zeros = jnp.zeros(NEURONS, jnp.float32)
    state = (start, jnp.zeros(NEURONS, jnp.int32), zeros, zeros > 0)
    return lax.scan(step, state, None, case.steps)[0][2]
