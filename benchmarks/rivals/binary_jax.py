"""`benchmarks.binary` as a `lax.scan` by hand: both orders of axes, and a dense product or one that reads the connected rows.

Random numbers are those of `jax.random` with its default generator; its `rbg` takes three to five times as long on a processor. Each
is compiled as JAX does by itself, and for vectors of 512 bits ("wide"), which a caller may ask of the outermost `jit`.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.binary_workload import Case, Network, Program, flux_of

COMPILER = {"": None, ", wide": {"xla_cpu_prefer_vector_width": 512}}


def programs(case: Case, network: Network) -> Mapping[str, Program]:
    """Every formulation, by name."""
    found: dict[str, Program] = {}
    for how, options in COMPILER.items():
        if case.histogram:
            found[f"counted in the scan{how}"] = _counted(case, network, options, in_the_scan=True)
            found[f"counted after the scan{how}"] = _counted(case, network, options, in_the_scan=False)
            continue
        found[f"dense{how}"] = _plain(case, network, options, _dense)
        found[f"dense, replicas first{how}"] = _replicas_first(case, network, options)
        if case.density < 1:
            found[f"gathered{how}"] = _plain(case, network, options, _gathered(network))
    return found


Product = Callable[[jax.Array, jax.Array], jax.Array]
Options = dict[str, int] | None


def _dense(W: jax.Array, x: jax.Array) -> jax.Array:
    return W @ x


def _gathered(network: Network, at_once: int = 8) -> Product:
    """The sources of each target as rows that are read and added, padded to the largest in-degree."""
    connected = network.W != 0
    most = -(-int(connected.sum(1).max()) // at_once) * at_once
    pre, weight = np.zeros((most, len(connected)), np.int32), np.zeros((most, len(connected)), np.float32)
    for target, row in enumerate(connected):
        sources = np.flatnonzero(row)
        pre[: len(sources), target], weight[: len(sources), target] = sources, network.W[target, sources]
    pre, weight = (jnp.asarray(one.reshape(-1, at_once, len(connected))) for one in (pre, weight))

    def product(W: jax.Array, x: jax.Array) -> jax.Array:
        def add(total: jax.Array, rows: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            for i in range(at_once):
                total = total + rows[1][i][:, None] * x.at[rows[0][i]].get(mode="promise_in_bounds")
            return total, None

        return lax.scan(add, jnp.zeros_like(x), (pre, weight))[0]

    return product


def _plain(case: Case, network: Network, options: Options, product: Product) -> Program:
    W, b, start = jnp.asarray(network.W), jnp.asarray(network.b)[:, None], jnp.asarray(network.start)
    key = jax.random.key(0)

    @partial(jax.jit, compiler_options=options)
    def simulate(W: jax.Array, b: jax.Array, start: jax.Array, key: jax.Array) -> jax.Array:
        def step(x: jax.Array, n: jax.Array) -> tuple[jax.Array, None]:
            p = jax.nn.sigmoid(product(W, x) + b)
            return (jax.random.uniform(jax.random.fold_in(key, n), x.shape) < p).astype(x.dtype), None

        return lax.scan(step, start, jnp.arange(case.steps))[0]

    run = partial(_call, simulate, W, b, start, key)
    return Program(run, lambda: np.asarray(run()))


def _replicas_first(case: Case, network: Network, options: Options) -> Program:
    W, b, start = jnp.asarray(network.W.T), jnp.asarray(network.b)[None], jnp.asarray(network.start.T)
    key = jax.random.key(0)

    @partial(jax.jit, compiler_options=options)
    def simulate(W: jax.Array, b: jax.Array, start: jax.Array, key: jax.Array) -> jax.Array:
        def step(x: jax.Array, n: jax.Array) -> tuple[jax.Array, None]:
            p = jax.nn.sigmoid(x @ W + b)
            return (jax.random.uniform(jax.random.fold_in(key, n), x.shape) < p).astype(x.dtype), None

        return lax.scan(step, start, jnp.arange(case.steps))[0]

    run = partial(_call, simulate, W, b, start, key)
    return Program(run, lambda: np.asarray(run()).T)


def _counted(case: Case, network: Network, options: Options, in_the_scan: bool) -> Program:
    """Words are integers of which neuron i is bit i; the table is counted step by step, or from the words of all steps."""
    W, b, start = jnp.asarray(network.W), jnp.asarray(network.b)[:, None], jnp.asarray(network.start)
    key = jax.random.key(0)
    cells = 1 << 2 * case.neurons
    bits = jnp.arange(case.neurons)[:, None]

    def words(x: jax.Array) -> jax.Array:
        return jnp.sum(x.astype(jnp.int32) << bits, 0)

    @partial(jax.jit, compiler_options=options)
    def simulate(W: jax.Array, b: jax.Array, start: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(carry: tuple[jax.Array, ...], n: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array | None]:
            x, word, *table = carry
            # A small product is a sum that fuses.
            p = jax.nn.sigmoid(jnp.sum(W[:, :, None] * x, 1) + b)
            x = (jax.random.uniform(jax.random.fold_in(key, n), x.shape) < p).astype(x.dtype)
            new = words(x)
            joint = (word << case.neurons) | new
            if in_the_scan:
                return (x, new, table[0].at[joint].add(1, mode="promise_in_bounds")), None
            return (x, new), joint

        first = (start, words(start))
        if in_the_scan:
            (x, _, table), _ = lax.scan(step, (*first, jnp.zeros(cells, jnp.int32)), jnp.arange(case.steps))
            return x, table
        (x, _), joint = lax.scan(step, first, jnp.arange(case.steps))
        return x, jnp.zeros(cells, jnp.int32).at[joint.ravel()].add(1, mode="promise_in_bounds")

    run = partial(_call, simulate, W, b, start, key)
    return Program(run, flux=lambda: flux_of(np.asarray(run()[1]).reshape(1 << case.neurons, -1)))


def _call(simulate: Callable[..., object], *arguments: jax.Array) -> object:
    return jax.block_until_ready(simulate(*arguments))
