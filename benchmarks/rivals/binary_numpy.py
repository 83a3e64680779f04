"""`benchmarks.binary` in NumPy: BLAS or SciPy's CSR product, no array made in the loop where BLAS multiplies.

`programs` draw with SFC64, the fastest of NumPy's generators, `with_our_bits` the numbers that CortexSpec draws.

z = [u < sigmoid(v)] is computed as [u (1 + exp(-v)) < 1]: one operation less.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.binary_workload import Array, Case, Network, Program, flux_of
from benchmarks.rivals.our_bits import threefry, trial_keys


def programs(case: Case, network: Network) -> Mapping[str, Program]:
    """Every formulation, by name."""
    if case.histogram:
        return {"product": _counted(case, network, _drives(network)), "table of p": _by_table(case, network)}
    found = {"dense": _plain(case, network, _dense(network)), "dense, replicas first": _replicas_first(case, network)}
    if case.density < 1:
        found["csr"] = _plain(case, network, _csr(network))
    return found


Product = Callable[[Array, Array], Array]


def _dense(network: Network) -> Product:
    return lambda x, out: np.matmul(network.W, x, out=out)


def _csr(network: Network) -> Product:
    W = csr_matrix(network.W)
    return lambda x, out: W @ x


def _plain(case: Case, network: Network, product: Product) -> Program:
    minus_b, draw = -network.b[:, None], np.random.Generator(np.random.SFC64(0))
    u, v = np.empty_like(network.start), np.empty_like(network.start)

    def run() -> Array:
        x = network.start.copy()
        for _ in range(case.steps):
            drive = product(x, v)
            np.subtract(minus_b, drive, out=v)
            np.exp(v, out=v)
            np.add(v, 1, out=v)
            draw.random(dtype=np.float32, out=u)
            np.multiply(u, v, out=u)
            np.less(u, 1, out=x)
        return x

    return Program(run, run)


def with_our_bits(case: Case, network: Network) -> Program:
    product = _csr(network) if case.density < 1 else _dense(network)
    b, v = network.b[:, None], np.empty_like(network.start)
    neurons = np.arange(case.neurons, dtype=np.uint32)[:, None]

    def run() -> Array:
        key = tuple(word[None] for word in trial_keys(case.replicas))
        x = network.start.copy()
        for step in range(case.steps):
            first, _ = threefry(
                threefry(key, (np.zeros((1, 1), np.uint32), np.full((1, 1), step, np.uint32))), (neurons * 0, neurons)
            )
            np.add(product(x, v), b, out=v)
            np.negative(v, out=v)
            np.exp(v, out=v)
            np.add(v, 1, out=v)
            np.divide(np.float32(2.0**32), v, out=v)
            np.less(first, v.astype(np.uint64), out=x)
        return x

    return Program(run, run)


def _replicas_first(case: Case, network: Network) -> Program:
    W, b, start = (np.ascontiguousarray(one) for one in (network.W.T, network.b[None], network.start.T))
    turned = Network(W, b, start)
    minus_b, draw = -turned.b, np.random.Generator(np.random.SFC64(0))
    u, v = np.empty_like(start), np.empty_like(start)

    def run() -> Array:
        x = start.copy()
        for _ in range(case.steps):
            np.matmul(x, W, out=v)
            np.subtract(minus_b, v, out=v)
            np.exp(v, out=v)
            np.add(v, 1, out=v)
            draw.random(dtype=np.float32, out=u)
            np.multiply(u, v, out=u)
            np.less(u, 1, out=x)
        return x

    return Program(run, lambda: run().T)


# ---------------------------------------------------------------- transitions counted


def _drives(network: Network) -> Callable[[Array, Array], Array]:
    """What each step multiplies uniform numbers with, 1 + exp(-v)."""
    minus_b = -network.b[:, None]

    def threshold(x: Array, out: Array) -> Array:
        np.matmul(network.W, x, out=out)
        np.subtract(minus_b, out, out=out)
        np.exp(out, out=out)
        return np.add(out, 1, out=out)

    return threshold


def _counted(case: Case, network: Network, threshold: Product) -> Program:
    places = (2.0 ** np.arange(case.neurons)).astype(np.float32)
    draw = np.random.Generator(np.random.SFC64(0))
    u, v = np.empty_like(network.start), np.empty_like(network.start)
    words = np.empty((case.steps + 1, case.replicas), np.float32)

    def run() -> Array:
        x = network.start.copy()
        np.matmul(places, x, out=words[0])
        for step in range(case.steps):
            threshold(x, v)
            draw.random(dtype=np.float32, out=u)
            np.multiply(u, v, out=u)
            np.less(u, 1, out=x)
            np.matmul(places, x, out=words[step + 1])
        return _count(words.astype(np.int64), case)

    return Program(run, flux=lambda: flux_of(run()))


def _by_table(case: Case, network: Network) -> Program:
    """The probabilities of all 2^n states are computed once, and read by the state's word."""
    states = ((np.arange(1 << case.neurons)[:, None] >> np.arange(case.neurons)) & 1).astype(np.float32)
    table = (1 / (1 + np.exp(-(states @ network.W.T + network.b)))).astype(np.float32)
    places = (1 << np.arange(case.neurons)).astype(np.float32)
    draw = np.random.Generator(np.random.SFC64(0))
    start = network.start.T @ places
    u = np.empty((case.replicas, case.neurons), np.float32)
    p, x = np.empty_like(u), np.empty_like(u)
    words = np.empty((case.steps + 1, case.replicas), np.int64)

    def run() -> Array:
        words[0] = start
        for step in range(case.steps):
            np.take(table, words[step], axis=0, out=p, mode="clip")
            draw.random(dtype=np.float32, out=u)
            np.less(u, p, out=x)
            words[step + 1] = x @ places
        return _count(words, case)

    return Program(run, flux=lambda: flux_of(run()))


def _count(words: Array, case: Case) -> Array:
    cells = 1 << 2 * case.neurons
    joint = (words[:-1] << case.neurons) | words[1:]
    return np.bincount(joint.ravel(), minlength=cells).reshape(1 << case.neurons, -1)
