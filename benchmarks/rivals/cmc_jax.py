"""The workload in JAX by hand: diffrax as a careful user writes it, and `lax.scan` loops, batch last, as fast as we can.

`HAND_FUSED` holds the formulations that win somewhere; the harness times all of them and keeps the fastest of each
case. What was tried (training step, one core of a Xeon with AVX-512, jax 0.10.2):

- `jax.checkpoint` around the step, so that only the carry is saved: 1.1 to 1.4 times faster, everywhere used below;
- two states v, w instead of the recurrence of second order: 1.1 to 1.2 times slower;
- a tuple of populations, all couplings written out, so that XLA fuses a step to one loop: best forward with five
  regions, best training step at (4096, 5);
- an axis of populations and a sum over a [4, 4] product: best with one region, 2 times slower with five;
- one product with [x, tanh x] over all [region, population] pairs: as good as the tuple at (1024, 5);
- two Euler steps at once: as good as the best with one region, slower else;
- batched 4 x 4 products; parameters spread over the batch before the loop, so that their gradients are summed once:
  1.1 to 1.2 times slower;
- unroll = 2 or 5: slower. All 20 steps written out instead of a scan: 1.1 to 1.25 times faster, but 2 to 20 times
  slower to compile and of no use beyond a few dozen steps, so it is no rival here.
"""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.rivals.program import Program
from benchmarks.workload import (
    COUPLINGS,
    DT,
    GAIN,
    LAGGED_CONTEXT,
    LAGGED_COUPLING,
    POPULATIONS,
    SLOPE,
    STEPS,
    Array,
    Parameters,
    coupling_signs,
    lagged_scale,
)

SP = POPULATIONS.index("sp")
Trained = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
Model = Callable[[Trained, jax.Array, jax.Array], jax.Array]


def bind(model: Model, parameters: Parameters, start: tuple[Array, Array]) -> Program:
    """A program from a function of (κ, γ, W, a), v0 and w0 that gives the potential of sp."""
    trained = tuple(jnp.asarray(x) for x in parameters.as_tuple())
    v0, w0 = (jnp.asarray(x) for x in start)
    run = jax.jit(model)
    train = jax.jit(jax.value_and_grad(lambda trained, v0, w0: jnp.mean(model(trained, v0, w0) ** 2)))

    def forward() -> jax.Array:
        return run(trained, v0, w0).block_until_ready()

    def step() -> tuple[jax.Array, Trained]:
        return jax.block_until_ready(train(trained, v0, w0))

    def value_and_gradients() -> tuple[float, tuple[Array, ...]]:
        value, gradients = step()
        return float(value), tuple(np.asarray(g) for g in gradients)

    return Program(forward, step, value_and_gradients)


# ---------------------------------------------------------------- diffrax


def diffrax_euler(trained: Trained, v0: jax.Array, w0: jax.Array) -> jax.Array:
    """Vectorised over regions, the couplings assembled once before the solver; time counts steps, exact in float32.

    Every step's state is kept for the gradient: 1.4 to 2.7 times faster than the default, which keeps fewer.
    """
    kappa, gamma, W, a = trained
    S = jnp.einsum("pqk,rk->rpq", coupling_signs().astype(kappa.dtype), gamma)
    C = 0.1 * jax.nn.sigmoid(a)[:, None] * W * (1 - np.eye(len(W), dtype=W.dtype))

    def derivative(t: jax.Array, state: tuple[jax.Array, jax.Array], args: None) -> tuple[jax.Array, jax.Array]:
        v, w = state
        r = jax.nn.sigmoid(SLOPE * v) - 0.5
        u = jnp.einsum("rpq,brq->brp", S, r) + (v.mean(2) @ C.T)[:, :, None]
        return DT * w, DT * (kappa * GAIN * u - 2 * kappa * w - kappa**2 * v)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(derivative),
        diffrax.Euler(),
        t0=0.0,
        t1=float(STEPS),
        dt0=1.0,
        y0=(v0, w0),
        stepsize_controller=diffrax.ConstantStepSize(),
        saveat=diffrax.SaveAt(t1=True),
        adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=STEPS),
        max_steps=STEPS,
    )
    return solution.ys[0][-1, :, :, SP]


# ---------------------------------------------------------------- fused by hand


def _start(v0: jax.Array, w0: jax.Array) -> tuple[jax.Array, jax.Array]:
    """x[0] and x[1], [R, 4, B]."""
    scale = lagged_scale()
    x = scale * v0.transpose(1, 2, 0)
    return x, x + scale * DT * w0.transpose(1, 2, 0)


def _within(kappa: jax.Array, gamma: jax.Array) -> jax.Array:
    """P, a matrix a region, [R, 4, 4]."""
    signs = LAGGED_COUPLING * coupling_signs()
    return kappa[:, :, None] * jnp.einsum("pqk,rk->rpq", signs.astype(gamma.dtype), gamma)


def _between(W: jax.Array, a: jax.Array) -> jax.Array:
    """Q without its factor κ, [R, R]."""
    others = LAGGED_CONTEXT * (1 - np.eye(len(W), dtype=W.dtype))
    return jax.nn.sigmoid(a)[:, None] * others * W


def _iterate(step: Callable, carry: object, steps: int) -> object:
    """Run `step`, a function from carry to carry, saving the carry alone for the gradient."""
    return lax.scan(lambda carry, _: (jax.checkpoint(step)(carry), None), carry, None, length=steps)[0]


def by_population(trained: Trained, v0: jax.Array, w0: jax.Array) -> jax.Array:
    """A tuple of populations, each [R, B], all couplings written out."""
    kappa, gamma, W, a = trained
    index = POPULATIONS.index
    P = [
        (index(target), index(source), (sign * LAGGED_COUPLING * kappa[:, index(target)] * gamma[:, k])[:, None])
        for k, (_, target, source, sign) in enumerate(COUPLINGS)
    ]
    Q = _between(W, a)
    decay = 1 - DT * kappa
    each = range(len(POPULATIONS))
    twice = [2 * decay[:, p, None] for p in each]
    square = [-(decay[:, p, None] ** 2) for p in each]
    rate = [kappa[:, p, None] for p in each]

    def step(carry):
        x, x1 = carry
        activity = [jnp.tanh(x[p]) for p in each]
        new = [twice[p] * x1[p] + square[p] * x[p] for p in each]
        for target, source, strength in P:
            new[target] = new[target] + strength * activity[source]
        if len(W) > 1:
            context = Q @ sum(x)
            new = [new[p] + rate[p] * context for p in each]
        return x1, tuple(new)

    x, x1 = _start(v0, w0)
    x, x1 = _iterate(step, (tuple(x[:, p] for p in each), tuple(x1[:, p] for p in each)), STEPS - 1)
    return x1[SP].T / lagged_scale()


def by_region(trained: Trained, v0: jax.Array, w0: jax.Array) -> jax.Array:
    """Axes [R, 4, B]; the coupling is a sum over the source axis of a [target, source] product."""
    kappa, gamma, W, a = trained
    P, Q, kappa = _within(kappa, gamma)[..., None], _between(W, a), kappa[:, :, None]
    decay = 1 - DT * kappa

    def step(carry):
        x, x1 = carry
        new = 2 * decay * x1 - decay * decay * x + jnp.sum(P * jnp.tanh(x)[:, None], 2)
        if len(W) > 1:
            new = new + kappa * (Q @ x.sum(1))[:, None]
        return x1, new

    _, x1 = _iterate(step, _start(v0, w0), STEPS - 1)
    return x1[:, SP].T / lagged_scale()


def _flat(trained: Trained) -> tuple[jax.Array, jax.Array, jax.Array]:
    """2 l as a column, and the matrices of x and of tanh x, over all [region, population] pairs."""
    kappa, gamma, W, a = trained
    regions = len(W)
    n = 4 * regions
    decay = (1 - DT * kappa).reshape(n, 1)
    P = _within(kappa, gamma)[:, :, None, :] * np.eye(regions, dtype=W.dtype)[:, None, :, None]
    Q = (kappa[:, :, None] * _between(W, a)[:, None, :])[..., None] * np.ones(4, W.dtype)
    return 2 * decay, Q.reshape(n, n) - jnp.diag((decay * decay)[:, 0]), P.reshape(n, n)


def flat(trained: Trained, v0: jax.Array, w0: jax.Array) -> jax.Array:
    """One product with [x, tanh x] a step."""
    twice, Q, P = _flat(trained)
    M = jnp.concatenate([Q, P], 1)
    n = len(M)

    def step(carry):
        x, x1 = carry
        return x1, twice * x1 + M @ jnp.concatenate([x, jnp.tanh(x)])

    x, x1 = _start(v0, w0)
    _, x1 = _iterate(step, (x.reshape(n, -1), x1.reshape(n, -1)), STEPS - 1)
    return x1.reshape(n // 4, 4, -1)[:, SP].T / lagged_scale()


def two_steps(trained: Trained, v0: jax.Array, w0: jax.Array) -> jax.Array:
    """x[n+2] and x[n+3] both read only x[n] and x[n+1]: half as many, twice as large products."""
    twice, Q, P = _flat(trained)
    n = len(P)
    diagonal = jnp.diag(twice[:, 0])
    linear = jnp.block([[Q, diagonal], [twice * Q, Q + diagonal * diagonal]])
    rates = jnp.block([[P, jnp.zeros_like(P)], [twice * P, P]])
    x = jnp.concatenate([state.reshape(n, -1) for state in _start(v0, w0)])
    x = _iterate(lambda x: linear @ x + rates @ jnp.tanh(x), x, STEPS // 2)
    return x[:n].reshape(n // 4, 4, -1)[:, SP].T / lagged_scale()


HAND_FUSED: dict[str, Model] = {
    "by population": by_population,
    "by region": by_region,
    "flat": flat,
    "two steps": two_steps,
}


def diffrax_program(parameters: Parameters, start: tuple[Array, Array]) -> Program:
    return bind(diffrax_euler, parameters, start)


def hand_fused_programs(parameters: Parameters, start: tuple[Array, Array]) -> dict[str, Program]:
    return {name: bind(model, parameters, start) for name, model in HAND_FUSED.items()}
