"""Functions that a program may call. Their source is printed into it, so they read nothing but JAX, the program's
FLOAT, and each other."""

# ruff: noqa: B006, F821
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata


def power(a, b):
    """a to the power b; the slope in b is 0 where a is not positive."""
    positive = a > 0
    above = jnp.power(jnp.where(positive, a, 1.0), b)
    return jnp.where(positive, above, jnp.power(a, lax.stop_gradient(b)))


def threshold(a, b, steepness, slope):
    """1 where a > b, else 0; the slope is the surrogate's."""

    @jax.custom_jvp
    def hard(a, b, steepness):
        return (a > b).astype(FLOAT)

    @hard.defjvp
    def change(operands, changes):
        a, b, steepness = operands
        da, db, _ = changes
        return hard(*operands), steepness * slope(steepness * (a - b)) * (da - db)

    return hard(a, b, steepness)


def fast_sigmoid_slope(u):
    return 1 / (1 + jnp.abs(u)) ** 2


def triangle_slope(u):
    return jax.nn.relu(1 - jnp.abs(u))


def boxcar_slope(u):
    return (jnp.abs(u) < 0.5).astype(FLOAT)


def arctan_slope(u):
    return 1 / (1 + (math.pi * u) ** 2)


def sigmoid_slope(u):
    return 4 * jax.nn.sigmoid(u) * jax.nn.sigmoid(-u)


def halved(a):
    """What a Taylor series of exp(a) needs: a, a^2, a^3 and a^4 with a halved so often that it converges, and how often.

    The norms of powers, not of a itself, say how often (Al-Mohy and Higham 2009, doi:10.1137/09074721X): a matrix that is
    similar to a small one is not halved. Below 1.4 the terms left out are below rounding, of the derivative too.
    """

    def whole(x):
        return jnp.where(jnp.isfinite(x), x, 0).astype(jnp.int32)

    def norm(x):
        return jnp.abs(x).sum(-2).max()

    before = jnp.maximum(0, whole(jnp.ceil(jnp.log2(norm(a)))) - 6)
    a = jnp.ldexp(a, -before)
    a2 = a @ a
    powers = [a, a2, a2 @ a, a2 @ a2]
    n1, n2, n3, n4 = (norm(x) for x in powers)
    bound = jnp.maximum(n4**0.25, jnp.minimum(n2 * n3, n1 * n4) ** 0.2)
    times = jnp.maximum(0, before + whole(jnp.ceil(jnp.log2(bound / 1.4))))
    return [jnp.ldexp(x, k * (before - times)) for k, x in enumerate(powers, 1)], times


def taylor_block(powers, k, last):
    """Terms 4k to 4k + 3 of the series of exp over a^4k, without that of the identity; the last block has one more."""
    return sum(x / math.factorial(4 * k + i) for i, x in enumerate(powers[: 4 if k == last else 3], 1))


def expm(a):
    """exp(a) of matrices [..., n, n]; its derivative is written out, since nothing flows back through a loop of unknown length."""

    @jax.custom_vjp
    def exponential(a):
        return expm_kept(a)[0]

    def backward(kept, flow):
        powers, sums, times = kept
        turned = [[jnp.swapaxes(x, -1, -2) for x in each] for each in (powers, sums)]
        return (expm_change((*turned, times), flow),)

    exponential.defvjp(expm_kept, backward)
    return exponential(a)


def expm_kept(a):
    """exp(a) of matrices [..., n, n], by a Taylor series and squaring, and what its derivative reads.

    That is the powers, the sums of Horner's scheme over a^4, and how often is squared.
    Paterson and Stockmeyer 1973, doi:10.1137/0202007, for the order of products.
    """
    powers, times = halved(a)
    unit = jnp.eye(a.shape[-1], dtype=a.dtype)
    last = 2 if a.dtype == jnp.float32 else 4
    sums = []
    for k in range(last, -1, -1):
        block = taylor_block(powers, k, last) + unit / math.factorial(4 * k)
        sums.append(sums[-1] @ powers[3] + block if sums else block)
    return lax.fori_loop(0, times, lambda _, x: x @ x, sums[-1]), (powers, sums, times)


def expm_frechet(a, e):
    """The derivative of exp at a in the direction e, with its own derivative: that at [[a', 0], [e', a']], a' the transpose of a."""

    def change(a, e):
        return expm_change(expm_kept(a)[1], e)

    derivative = jax.custom_vjp(change)

    def backward(kept, flow):
        turned, direction = (jnp.swapaxes(x, -1, -2) for x in kept)
        zeros, n = jnp.zeros_like(flow), flow.shape[-1]
        at = jnp.block([[turned, zeros], [direction, turned]])
        found = change(at, jnp.block([[zeros, flow], [zeros, zeros]]))
        return found[..., :n, :n] + found[..., n:, n:], change(turned, flow)

    derivative.defvjp(lambda a, e: (change(a, e), (a, e)), backward)
    return derivative(*jnp.broadcast_arrays(a, e))


def expm_change(kept, e):
    """The derivative of exp in the direction e, from what `expm_kept` gave: that of each product."""
    (a, a2, _, a4), sums, times = kept
    e = jnp.ldexp(e, -times)
    e2 = a @ e + e @ a
    changes = [e, e2, a2 @ e + e2 @ a, a2 @ e2 + e2 @ a2]
    last = len(sums) - 1
    change = taylor_block(changes, last, last)
    for k, total in zip(range(last - 1, -1, -1), sums, strict=False):
        change = change @ a4 + total @ changes[3] + taylor_block(changes, k, last)

    def squared(_, both):
        total, change = both
        return total @ total, total @ change + change @ total

    return lax.fori_loop(0, times, squared, (sums[-1], change))[1]


def matrix_product(a, b):
    """a @ b. A small one is written as a sum, which fuses with what is around it: calling the library takes longer."""
    if a.size * b.shape[1] <= 4096:
        return jnp.sum(a[:, :, None] * b, 1)
    return a @ b


def small_products(a, b, flips=(False, False)):
    """a @ b of stacks of matrices [..., rows, terms] and [..., terms, columns]; where flips says so, the last two axes of one stand
    the other way round. Small ones are products of a kernel: XLA turns matrices around in front of most, and those of a gradient take
    several times as long as the product itself."""
    small = max(*a.shape[-2:], *b.shape[-2:]) <= 64 and a.ndim == b.ndim and math.prod(a.shape[:-2]) >= 8
    kernel = products_kernel() if small and a.dtype in (jnp.float32, jnp.float64) else None
    return flipped_product(a, b, flips=flips) if kernel is None else kernel.bind(a, b, flips=flips)


def flipped_product(a, b, flips):
    a, b = (jnp.swapaxes(x, -1, -2) if flip else x for x, flip in zip((a, b), flips, strict=True))
    return a @ b


def products_kernel(known={}):
    """Products of small matrices as an operation of JAX, with all its derivatives. None as for `product_kernels`."""
    if "found" not in known:
        known["found"] = products_primitive() if product_kernels() else None
    return known["found"]


def product_kernels(known={}):
    """Whether the compiled kernels of products are there: on a processor, where CortexSpec finds a C++ compiler."""
    if "ready" not in known:
        try:
            from cortexspec.contracts import native

            library = native.library("products_xla", (jax.ffi.include_dir(),), fused=True)
        except ImportError:
            library = None
        known["ready"] = library is not None and jax.default_backend() == "cpu"
        if known["ready"]:
            for one in ("products", "rows_flow"):
                handler = jax.ffi.pycapsule(getattr(library, f"xla_{one}"))
                jax.ffi.register_ffi_target(f"cortexspec_{one}", handler, platform="cpu")
    return known["ready"]


def products_primitive():
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    products = Primitive("cortexspec_products")

    def shape(a, b, flips):
        return a.update(shape=(*a.shape[:-2], a.shape[-1 if flips[0] else -2], b.shape[-2 if flips[1] else -1]))

    def lower(context, a, b, flips):
        return jax.ffi.ffi_lowering("cortexspec_products")(context, a, b, flip_a=flips[0], flip_b=flips[1])

    def flow_left(flow, a, b, flips):
        left, right = flips
        return products.bind(b, flow, flips=(right, True)) if left else products.bind(flow, b, flips=(False, not right))

    def flow_right(flow, a, b, flips):
        left, right = flips
        return products.bind(flow, a, flips=(True, left)) if right else products.bind(a, flow, flips=(not left, False))

    def batch(operands, places, flips):
        if None in places:  # a matrix that all share is not copied
            return jax.vmap(lambda a, b: flipped_product(a, b, flips), places)(*operands), 0
        operands = [jnp.moveaxis(x, place, 0) for x, place in zip(operands, places, strict=True)]
        return products.bind(*operands, flips=flips), 0

    products.def_impl(jax.jit(flipped_product, static_argnames="flips"))
    products.def_abstract_eval(shape)
    ad.defbilinear(products, flow_left, flow_right)
    batching.primitive_batchers[products] = batch
    mlir.register_lowering(products, mlir.lower_fun(flipped_product, multiple_results=False))
    mlir.register_lowering(products, lower, platform="cpu")
    return products


def sparse_product(weight, index, x):
    """y[r] = sum_k weight[k, r] * x[index[k, r]]. Its adjoint reads the rows of x anew: kept for each step of a loop they would be
    most of what a training step holds."""

    @jax.custom_vjp
    def product(weight, index, x):
        return sum_of_rows(weight, index, x)

    def backward(kept, flow):
        weight, index, x = kept
        if product_kernels() and x.dtype in (jnp.float32, jnp.float64):
            shapes = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in (weight, x)]
            by_weight, by_x = jax.ffi.ffi_call("cortexspec_rows_flow", shapes, vmap_method="sequential")(*kept, flow)
            return by_weight, None, by_x
        rows = x.at[index].get(mode="promise_in_bounds")
        weights = (rows * flow).reshape(*index.shape, -1).sum(-1)
        shares = weight.reshape(*weight.shape, *(1,) * (x.ndim - 1)) * flow
        return weights, None, jnp.zeros_like(x).at[index].add(shares, mode="promise_in_bounds")

    product.defvjp(lambda *given: (product(*given), given), backward)
    return product(weight, index, x)


def sum_of_rows(weight, index, x):
    """Several rows of x are read and added in one loop over y; tables and sum are gone through once for all of them."""
    at_once = next(n for n in (8, 4, 2, 1) if len(weight) % n == 0)
    spread = (slice(None), *(None,) * (x.ndim - 1))

    def add(total, some):
        for w, places in zip(*some, strict=True):
            total = total + w[spread] * x.at[places].get(mode="promise_in_bounds")
        return total, None

    tables = [table.reshape(-1, at_once, table.shape[1]) for table in (weight, index)]
    start = jnp.zeros((weight.shape[1], *x.shape[1:]), x.dtype)
    return lax.scan(add, start, tables)[0]


def read_rows(x, index):
    """x[:, index], a row at a time: a few reads of single numbers are part of the loop that reads them, one of columns is not."""
    return jnp.stack([row.at[index].get(mode="promise_in_bounds") for row in x])


def pool_matrix(size, out, dtype):
    """[out, size]: row i averages window i of adaptive pooling."""
    matrix = np.zeros((out, size))
    for i in range(out):
        start, stop = i * size // out, -((i + 1) * size // -out)
        matrix[i, start:stop] = 1 / (stop - start)
    return jnp.asarray(matrix, dtype)


def adaptive_average_pool2d(image, out):
    """Means over windows of the first two axes; they overlap where the sizes do not divide."""
    (rows, columns), (height, width) = out, image.shape[:2]
    if height % rows == 0 and width % columns == 0:
        blocks = image.reshape(rows, height // rows, columns, width // columns, *image.shape[2:])
        return blocks.mean(axis=(1, 3))
    image = jnp.tensordot(pool_matrix(height, rows, image.dtype), image, 1)
    return jnp.einsum("rw...,cw->rc...", image, pool_matrix(width, columns, image.dtype))


def conv2d(image, kernel):
    """[out, height, width, ...] from an image [channel, height, width, ...] and a kernel [out, channel, rows, columns].

    XLA's own convolution is slow on a processor unless there is much to sum. A sum of shifted images, samples last,
    fuses into one loop. As the adjoint in the kernel XLA's is fast.
    """
    channels, rows, columns = kernel.shape[1:]
    if rows == columns == 1:
        return jnp.tensordot(kernel[:, :, 0, 0], image, 1)
    if channels * rows * columns > 100:
        return xla_conv2d(image, kernel)

    @jax.custom_jvp
    def convolve(image, kernel):
        weights = kernel.reshape(*kernel.shape[:2], -1, *(1,) * (image.ndim - 1))
        views = shifted_images(image, rows, columns)
        return sum(weights[:, c, i] * view[c] for i, view in enumerate(views) for c in range(channels))

    @convolve.defjvp
    def tangent(primals, tangents):
        change = xla_conv2d(tangents[0], primals[1]) + xla_conv2d(primals[0], tangents[1])
        return convolve(*primals), change

    return convolve(image, kernel)


def depthwise_conv2d(image, kernel):
    """[channel, height, width, ...] from an image of these axes and a kernel [channel, rows, columns]."""
    weights = kernel.reshape(len(kernel), -1, *(1,) * (image.ndim - 1))
    return sum(weights[:, i] * view for i, view in enumerate(shifted_images(image, *kernel.shape[1:])))


def shifted_images(image, rows, columns):
    """The image [channel, height, width, ...] as each place of a kernel sees it, with zeros around, row by row."""
    height, width = image.shape[1:3]
    around = [(0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)]
    image = jnp.pad(image, around + [(0, 0)] * (image.ndim - 3))
    return [image[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]


def xla_conv2d(image, kernel):
    """conv2d as XLA does it; it wants exactly one axis of samples."""
    padding = [(size // 2, size // 2) for size in kernel.shape[2:]]
    flat = image.reshape(*image.shape[:3], -1)
    result = lax.conv_general_dilated(flat, kernel, (1, 1), padding, dimension_numbers=("CHWN", "OIHW", "CHWN"))
    return result.reshape(-1, *image.shape[1:])


def conv2d_kernel(image, cotangent, shape):
    """The cotangent of a kernel of the shape [out, channel, rows, columns]."""
    kernel = jax.ShapeDtypeStruct(shape, image.dtype)
    return jax.linear_transpose(lambda kernel: xla_conv2d(image, kernel), kernel)(cotangent)[0]


def depthwise_conv2d_kernel(image, cotangent, shape):
    """The cotangent of a kernel of the shape [channel, rows, columns]."""
    others = tuple(range(1, image.ndim))
    products = [jnp.sum(view * cotangent, others) for view in shifted_images(image, *shape[1:])]
    return jnp.stack(products, 1).reshape(shape)


def split_words(number):
    """The high and the low 32 bits of integers, which have 64 bits only under x64."""
    number = jnp.asarray(number)
    if number.dtype == jnp.int64:
        return (number >> 32).astype(jnp.uint32), number.astype(jnp.uint32)
    return jnp.where(number < 0, jnp.uint32(0xFFFFFFFF), jnp.uint32(0)), number.astype(jnp.uint32)


def threefry(key, counter):
    """Threefry-2x32 with 20 rounds."""
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ jnp.uint32(0x1BD11BDA))
    x0, x1 = counter[0] + k0, counter[1] + k1
    for block in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            x0 = x0 + x1
            x1 = ((x1 << rotation) | (x1 >> (32 - rotation))) ^ x0
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + jnp.uint32(block + 1)
    return x0, x1


def counted(*axes, rank):
    """The number of each element, counted along the axes (size, place) with the last fastest, as an array of this rank."""
    number = jnp.zeros((1,) * rank, jnp.uint32)
    for size, place in axes:
        shape = [size if i == place else 1 for i in range(rank)]
        number = number * jnp.uint32(size) + jnp.arange(size, dtype=jnp.uint32).reshape(shape)
    return number


def shared_key(key, counter):
    """A key that many elements read, in a function that stays one: written into the loop over the elements, a processor would
    compute it anew for each."""
    if jax.default_backend() != "cpu":
        return threefry(key, counter)
    with set_xla_metadata(inlineable="false"):
        return jax.jit(threefry)(key, counter)


def draw_key(site, seed, *keys):
    """The key of a draw in a trial and a step."""
    key = threefry(split_words(seed), (jnp.uint32(site[0]), jnp.uint32(site[1])))
    for number in keys:
        key = shared_key(key, split_words(number))
    return key


def draw_words(site, elements, *keys):
    """Both random words of each element. Elements and keys are spread over the places of the result."""
    return threefry(draw_key(site, *keys), (jnp.uint32(0), elements))


def unit_interval(words, dtype):
    """Uniform in [0, 1): 53 leading bits in double precision, 24 in single."""
    w0, w1 = words
    if dtype == jnp.float32:
        return (w0 >> 8).astype(dtype) * dtype(2**-24)
    return ((w0 >> 5).astype(dtype) * dtype(2**26) + (w1 >> 6).astype(dtype)) * dtype(2**-53)


def draw_bits(site, elements, *keys):
    w0, w1 = draw_words(site, elements, *keys)
    return w0 ^ w1


def draw_uniform(site, elements, *keys, dtype):
    return unit_interval(draw_words(site, elements, *keys), dtype)


def draw_normal(site, elements, *keys, dtype):
    """Box and Muller."""
    w0, w1 = (word.astype(dtype) for word in draw_words(site, elements, *keys))
    radius = jnp.sqrt(dtype(-2) * jnp.log((w0 + dtype(0.5)) * dtype(2**-32)))
    return radius * jnp.cos(w1 * dtype(2 * np.pi * 2**-32))


def draw_bernoulli(site, elements, *keys, p):
    """True where the 64-bit number is below p * 2^64."""
    drawn = below(draw_words(site, elements, *keys), lax.stop_gradient(p))
    # The root of 0 or 1 changes nothing, but XLA takes it for dear: without it, bits are drawn anew for each reader.
    return jnp.sqrt(drawn.astype(p.dtype)) > 0


def below(words, p):
    """Whether 64-bit numbers are below p * 2^64; each step is exact, and integers are cut off."""
    scaled = jnp.where((p > 0) & (p < 1), p, 0) * p.dtype.type(2**32)
    t0 = scaled.astype(jnp.uint32)
    t1 = ((scaled - t0.astype(p.dtype)) * p.dtype.type(2**32)).astype(jnp.uint32)
    w0, w1 = words
    return (p >= 1) | (w0 < t0) | ((w0 == t0) & (w1 < t1))


def draw_word(site, count, *keys, p):
    """Bernoulli draws of elements along the first axis of p, element i as bit i. Written one by one they are one loop over what
    is left, and none of them is stored."""
    key, p = draw_key(site, *keys), lax.stop_gradient(p)
    word = 0
    for i in range(count):
        drawn = below(threefry(key, (jnp.uint32(0), jnp.uint32(i))), p[i % len(p)])
        word = word | (drawn.astype(int) << i)
    return word


def draw_poisson(site, elements, *keys, mean, dtype):
    """Counts by inversion of one uniform number."""
    u = unit_interval(draw_words(site, elements, *keys), dtype)
    mean = lax.stop_gradient(mean)
    first = jnp.broadcast_to(jnp.exp(-mean), u.shape)

    def more(state):
        _, _, term, total = state
        return ((u >= total) & (term > 0)).any()

    def next_counts(state):
        """A few at a time, in one pass over the elements. The sum of terms grows, so who stopped counts no more."""
        k, count, term, total = state
        for _ in range(4):
            count = count + ((u >= total) & (term > 0))
            k = k + 1
            term = term * (mean / k)
            total = total + term
        return k, count, term, total

    start = (jnp.zeros((), dtype), jnp.zeros(u.shape, int), first, first)
    return lax.while_loop(more, next_counts, start)[1]


def draw_permutation(site, elements, *keys, axis):
    """The order of the elements' 64-bit numbers along an axis."""
    w0, w1 = draw_words(site, elements, *keys)
    return jnp.lexsort((w1, w0), axis=axis).astype(int)


def recurrence(z, K, b, steps, curved):
    """z[n+1] = φ(K z[n] + b): z at the end, and as each step finds and leaves it, [rows, steps, samples]; and K.

    `curved` has the functions in φ, each with its first row and the one after its last."""

    def step(z, frame):
        new = matrix_product(K, z)
        new = new if b is None else new + b
        for function, start, stop in curved:
            new = new.at[start:stop].set(function(new[start:stop]))
        return new, (z, new)

    end, (before, after) = lax.scan(step, z, (), length=steps)
    return end, before.transpose(1, 0, 2), after.transpose(1, 0, 2), K


def recurrence_backward(end, before, after, K, d_end, d_before, d_after, curved, shift):
    """The cotangents of z, K and, where `shift` says so ("rows" or "samples"), of b.

    `curved` has the derivatives of the functions in φ from their values."""
    stacks = [jnp.zeros_like(before) if flow is None else flow for flow in (d_before, d_after)]
    frames = tuple(x.transpose(1, 0, 2) for x in (*stacks, after))

    def step(flow, frame):
        more, late, value = frame
        flow = flow + late
        for slope, start, stop in curved:
            flow = flow.at[start:stop].multiply(slope(value[start:stop]))
        return matrix_product(K.T, flow) + more, flow

    start = jnp.zeros_like(end) if d_end is None else d_end
    d_z, flows = lax.scan(step, start, frames, reverse=True)
    d_K = jnp.einsum("tas,bts->ab", flows, before)
    if shift is None:
        return d_z, d_K
    return d_z, d_K, flows.sum(0) if shift == "samples" else flows.sum((0, 2))


def deliver(z, rows, target, weight, ring, now, delay, steps, per, reached=None):
    """ring[(now + delay[e]) % slots, target[e]] += z[j]*weight[e] for each connection e of each source j that is not silent.

    Shapes: z [pre, ...] and ring [slot, post, ...] with the same rest; `per` says whether there is a weight for all (0), a source (1)
    or a connection (2), `steps` is the delay of all connections, or -1. The derivative by z is 0 where `reached`, shaped as z, is 0.
    """

    @jax.custom_vjp
    def run(z, weight, ring, index, reached):
        given = (z, index[0], index[1], weight, ring, *index[2:])
        found = event_kernel("deliver", jax.ShapeDtypeStruct(ring.shape, ring.dtype), given, ring.shape, steps, per)
        return delivered(*given, steps, per) if found is None else found

    def backward(kept, flow):
        z, weight, index, reached = kept
        rows, target, *when = index
        dz = collect(rows, target, weight, flow, *when, steps, per, reached)
        return dz, event_weight_flow(z, rows, target, weight, flow, *when, steps, per), flow, None, None

    def forward(z, weight, ring, index, reached):
        return run(z, weight, ring, index, reached), (z, weight, index, reached)

    run.defvjp(forward, backward)
    return run(z, weight, ring, (rows, target, jnp.asarray(now), jnp.asarray(delay)), reached)


def collect(rows, target, weight, ring, now, delay, steps, per, reached=None):
    """y[j] = sum over the connections e of source j of weight[e]*ring[(now + delay[e]) % slots, target[e]], 0 where `reached` is."""

    @jax.custom_vjp
    def run(weight, ring, index, reached):
        rows, target, now, delay = index
        shape = jax.ShapeDtypeStruct((len(rows) - 1, *ring.shape[2:]), ring.dtype)
        asked = jnp.zeros((0,), ring.dtype) if reached is None else reached
        given = (rows, target, weight, ring, now, delay, asked)
        found = event_kernel("collect", shape, given, ring.shape, steps, per)
        if found is not None:
            return found
        pre, places = event_places(rows, target, now, delay, ring, steps)
        values = ring.reshape(-1, *ring.shape[2:])[places] * event_weights(weight, pre, per, ring.ndim - 1)
        found = jnp.zeros(shape.shape, ring.dtype).at[pre].add(values, mode="promise_in_bounds")
        return found if reached is None else jnp.where(reached != 0, found, 0)

    def backward(kept, flow):
        weight, ring, index, reached = kept
        rows, target, *when = index
        flow = flow if reached is None else jnp.where(reached != 0, flow, 0)
        dring = deliver(flow, rows, target, weight, jnp.zeros_like(ring), *when, steps, per)
        return event_weight_flow(flow, rows, target, weight, ring, *when, steps, per), dring, None, None

    def forward(weight, ring, index, reached):
        return run(weight, ring, index, reached), (weight, ring, index, reached)

    run.defvjp(forward, backward)
    return run(weight, ring, (rows, target, jnp.asarray(now), jnp.asarray(delay)), reached)


def per_edge(z, rows, target, ring, now, delay, steps):
    """y[e] = z[j]*ring[(now + delay[e]) % slots, target[e]] for each connection e of each source j, summed over all else."""

    @jax.custom_vjp
    def run(z, ring, index):
        rows, target, now, delay = index
        shape = jax.ShapeDtypeStruct(target.shape, ring.dtype)
        found = event_kernel("per_edge", shape, (z, rows, target, ring, now, delay), ring.shape, steps, 0)
        if found is not None:
            return found
        pre, places = event_places(rows, target, now, delay, ring, steps)
        return (z[pre] * ring.reshape(-1, *ring.shape[2:])[places]).reshape(len(target), -1).sum(1)

    def backward(kept, flow):
        z, ring, index = kept
        rows, target, *when = index
        dz = collect(rows, target, flow, ring, *when, steps, 2)
        return dz, deliver(z, rows, target, flow, jnp.zeros_like(ring), *when, steps, 2), None

    run.defvjp(lambda z, ring, index: (run(z, ring, index), (z, ring, index)), backward)
    return run(z, ring, (rows, target, jnp.asarray(now), jnp.asarray(delay)))


def event_weight_flow(z, rows, target, weight, ring, now, delay, steps, per):
    if per == 2:
        return per_edge(z, rows, target, ring, now, delay, steps)
    found = z * collect(rows, target, jnp.ones((), weight.dtype), ring, now, delay, steps, 0)
    return found.sum() if per == 0 else found.reshape(len(found), -1).sum(1)


def delivered(z, rows, target, weight, ring, now, delay, steps, per):
    """Connections are read in stretches of one length, one active source after the other; what is beyond its end adds nothing."""
    if not len(target):
        return ring
    # Most sources have no more connections than one stretch, if they are drawn independently.
    mean = len(target) / len(z)
    block = min(len(target), 4096, 16 * math.ceil((mean + 4 * math.sqrt(mean)) / 16))
    slots, posts = ring.shape[:2]
    flat = ring.reshape(slots * posts, *ring.shape[2:])
    speaks = (z != 0).reshape(len(z), -1).any(1) & (rows[1:] > rows[:-1])
    following = next_active(speaks)

    def more(state):
        return state[0] < len(z)

    def add(state):
        j, first, flat = state
        start, end = rows[j] + first, rows[j + 1]
        low = jnp.clip(start, 0, len(target) - block)
        here = low + jnp.arange(block, dtype=rows.dtype)
        inside = (here >= start) & (here < end)
        steps_ = lax.dynamic_slice(delay, (low,), (block,)) if steps < 0 else steps
        places = (now + steps_) % slots * posts + lax.dynamic_slice(target, (low,), (block,))
        w = lax.dynamic_slice(weight, (low,), (block,)) if per == 2 else weight[j] if per == 1 else weight
        w = jnp.where(inside, w, 0).reshape(block, *(1,) * (z.ndim - 1))
        flat = flat.at[places].add(z[j] * w, mode="promise_in_bounds")
        last = start + block >= end
        return jnp.where(last, following(j + 1), j), jnp.where(last, 0, first + block), flat

    return lax.while_loop(more, add, (following(0), jnp.zeros((), rows.dtype), flat))[2].reshape(ring.shape)


def next_active(speaks, lanes=64):
    """A function: the first place from j on where `speaks` [place] holds, or its length. One block is read, and which blocks have any."""
    size, blocks = len(speaks), -(-len(speaks) // lanes)
    padded = jnp.pad(speaks, (0, blocks * lanes - size))
    any_, block, lane = padded.reshape(blocks, lanes).any(1), jnp.arange(blocks), jnp.arange(lanes)

    def first(b, low):
        """The first place of a block that is at least `low`; `lanes` where there is none."""
        here = lax.dynamic_slice(padded, (b * lanes,), (lanes,))
        return jnp.min(jnp.where(here & (lane >= low), lane, lanes))

    def following(j):
        b = j // lanes
        here = first(b, j % lanes)
        b_ = jnp.min(jnp.where(any_ & (block > b), block, blocks))
        there = jnp.where(b_ < blocks, b_ * lanes + first(b_, 0), size)
        return jnp.where((b < blocks) & (here < lanes), b * lanes + here, there)

    return following


def event_places(rows, target, now, delay, ring, steps):
    """[edge]: the source of each connection, and where in the flattened ring it ends."""
    pre = jnp.repeat(jnp.arange(len(rows) - 1), jnp.diff(rows), total_repeat_length=len(target))
    return pre, (now + (delay if steps < 0 else steps)) % len(ring) * ring.shape[1] + target


def event_weights(weight, pre, per, axes):
    return (weight[pre] if per == 1 else weight).reshape(-1, *(1,) * (axes - 1)) if per else weight


def event_kernel(name, shape, operands, ring, steps, per, known={}):
    """What the compiled kernel of this operation gives. None on other platforms, and where CortexSpec finds no C++ compiler."""
    if "ready" not in known:
        known["ready"] = False
        try:
            from cortexspec.contracts import native

            library = native.library("deliver_xla", (jax.ffi.include_dir(),))
        except ImportError:
            library = None
        if library is not None:
            for one in ("deliver", "collect", "per_edge"):
                handler = jax.ffi.pycapsule(getattr(library, f"xla_{one}"))
                jax.ffi.register_ffi_target(f"cortexspec_{one}", handler, platform="cpu")
            known["ready"] = True
    if not known["ready"] or jax.default_backend() != "cpu":
        return None
    sizes = {"slots": ring[0], "posts": ring[1], "width": math.prod(ring[2:]), "per": per, "steps": steps}
    # One type of index for all, that of the targets.
    index = operands[2 if name != "collect" else 1].dtype
    operands = [x.astype(index) if jnp.issubdtype(x.dtype, jnp.integer) else x for x in operands]
    aliases = {4: 0} if name == "deliver" else None
    call = jax.ffi.ffi_call(f"cortexspec_{name}", shape, input_output_aliases=aliases, vmap_method="sequential")
    return call(*operands, **{key: np.int64(value) for key, value in sizes.items()})
