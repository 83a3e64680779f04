"""Functions that a program may call. Their source is printed into it, so they read nothing but torch, NumPy, the
program's FLOAT and DEVICE, and each other."""

# ruff: noqa: B006, B008, F821
import ctypes
import math
import sys
import threading
import warnings

import numpy as np
import torch


def power(a, b):
    """a to the power b; the slope in b is 0 where a is not positive."""
    positive = a > 0
    above = torch.pow(torch.where(positive, a, 1.0), b)
    return torch.where(positive, above, torch.pow(a, b.detach()))


def threshold(a, b, steepness, slope):
    """1 where a > b, else 0; the slope is the surrogate's."""
    hard = (a > b).to(FLOAT)
    if not (torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)):
        return hard
    apart = a - b
    flow = (steepness * slope(steepness * apart)).detach() * apart
    return hard + (flow - flow.detach())


def fast_sigmoid_slope(u):
    return (1 + u.abs()) ** -2


def triangle_slope(u):
    return torch.relu(1 - u.abs())


def boxcar_slope(u):
    return (u.abs() < 0.5).to(FLOAT)


def arctan_slope(u):
    return 1 / (1 + torch.square(math.pi * u))


def sigmoid_slope(u):
    return 4 * torch.sigmoid(u) * torch.sigmoid(-u)


def halved(a):
    """What a Taylor series of exp(a) needs: a, a^2, a^3 and a^4 with a halved so often that it converges, and how often.

    The norms of powers, not of a itself, say how often (Al-Mohy and Higham 2009, doi:10.1137/09074721X): a matrix that is
    similar to a small one is not halved. Below 1.4 the terms left out are below rounding, of the derivative too.
    """
    size = float(one_norm(a))
    before = max(0, math.frexp(size)[1] - 7) if 0 < size < math.inf else 0
    a = a if before == 0 else a * 2.0**-before
    a2 = a @ a
    powers = [a, a2, a2 @ a, a2 @ a2]
    n1, n2, n3, n4 = size * 2.0**-before, *(float(one_norm(x)) for x in powers[1:])
    bound = max(n4**0.25, min(n2 * n3, n1 * n4) ** 0.2)
    more = math.ceil(math.log2(bound / 1.4)) if 0 < bound < math.inf else 0
    times = max(0, before + more)
    factor = 2.0 ** (before - times)
    return [x if factor == 1 else x * factor**k for k, x in enumerate(powers, 1)], times


def one_norm(x):
    return x.detach().abs().sum(-2).max()


def taylor_block(powers, k, last):
    """Terms 4k to 4k + 3 of the series of exp over a^4k, without that of the identity; the last block has one more."""
    total = powers[0] * (1 / math.factorial(4 * k + 1))
    for i, x in enumerate(powers[1 : 4 if k == last else 3], 2):
        total = total.add_(x, alpha=1 / math.factorial(4 * k + i))
    return total


def product_added(total, a, b):
    """total + a @ b"""
    return torch.addmm(total, a, b) if total.dim() == 2 else total + a @ b


@torch.compiler.disable
def expm_kept(a):
    """exp(a) of matrices [..., n, n], by a Taylor series and squaring, and what its derivative reads.

    That is the powers, the sums of Horner's scheme over a^4, and what was squared.
    Paterson and Stockmeyer 1973, doi:10.1137/0202007, for the order of products.
    """
    powers, times = halved(a)
    last = 2 if a.dtype == torch.float32 else 4
    total, sums = None, []
    for k in range(last, -1, -1):
        block = taylor_block(powers, k, last)
        block.diagonal(dim1=-2, dim2=-1).add_(1 / math.factorial(4 * k))
        total = block if total is None else product_added(block, total, powers[3])
        sums.append(total)
    squared = []
    for _ in range(times):
        squared.append(total)
        total = total @ total
    return total, (powers, sums[:-1], squared)


def expm(a):
    return expm_kept(a)[0]


@torch.compiler.disable
def expm_change(kept, e):
    """The derivative of exp in the direction e, from what `expm_kept` gave: that of each product."""
    (a, a2, _, a4), sums, squared = kept
    e = e if not squared else e * 2.0 ** -len(squared)
    e2 = product_added(a @ e, e, a)
    e4 = product_added(a2 @ e2, e2, a2)
    changes, last = [e, e2, product_added(a2 @ e, e2, a), e4], len(sums)
    change = taylor_block(changes, last, last)
    for k, total in zip(range(last - 1, -1, -1), sums, strict=True):
        change = product_added(product_added(taylor_block(changes, k, last), change, a4), total, e4)
    for total in squared:
        change = product_added(total @ change, change, total)
    return change


def expm_frechet(a, e):
    """The derivative of exp at a in the direction e."""
    return expm_change(expm_kept(a)[1], e)


def expm_adjoint(kept, flow):
    """The cotangent of a from that of exp(a): the derivative at the transpose of a, whose powers are there."""
    return expm_change([[x.mT for x in each] for each in kept], flow)


def once(make):
    """The arrays that `make` gives, made at the first call, and again where FLOAT or DEVICE have changed."""
    made = {}

    def give():
        if torch.compiler.is_compiling():
            return make()
        if (FLOAT, DEVICE) not in made:
            with torch.inference_mode(False), torch.no_grad():
                made[FLOAT, DEVICE] = make()
        return made[FLOAT, DEVICE]

    return give


def untracked():
    """For lines that no autograd records: their arrays have no versions and their views no bases, which is a quarter of
    what a call on a small array costs."""
    guard = getattr(torch._C, "_AutoDispatchBelowADInplaceOrView", None)
    return torch.no_grad() if guard is None or torch.compiler.is_compiling() else guard()


def apart(tensors, others):
    """The tensors as results that autograd may follow and a reader write into: none twice, since a repeated one would get
    the cotangent of its last place alone, none a part of a larger array, none with the memory of one of the others."""

    def shares(i, x):
        if x.untyped_storage().nbytes() > x.nbytes:
            return True
        start, stop = x.data_ptr(), x.data_ptr() + x.nbytes
        return any(start <= y.data_ptr() < stop for y in (*tensors[:i], *others) if y.numel())

    return tuple(x.clone() if shares(i, x) else x for i, x in enumerate(tensors))


def lent(shape, dtype, memory=[], lock=threading.Lock()):
    """An array with nothing in it yet. A large one on the processor has memory that is kept, and that serves again as soon
    as no tensor has it: the system gives fresh memory page by page, which is a third of a training step."""
    size = math.prod(shape) * dtype.itemsize
    if DEVICE.type != "cpu" or size < 1 << 17 or torch.compiler.is_compiling():
        return torch.empty(shape, dtype=dtype, device=DEVICE)
    with lock:
        idle = [i for i in range(len(memory)) if sys.getrefcount(memory[i]) == 2]
        fitting = [i for i in idle if size <= memory[i].nbytes < 2 * size]
        if not fitting:
            for i in reversed(idle):
                del memory[i]
            fitting = [len(memory)]
            memory.append(torch.empty(size, dtype=torch.uint8).numpy())
        return torch.from_numpy(memory[fitting[0]][:size]).view(dtype).view(shape)


def in_steps(count):
    """Whether a loop adds up products of arrays of so many numbers step by step, while they are in the cache. With few
    numbers, or on another device, one call behind the loop takes less time than one a step."""
    return DEVICE.type == "cpu" and count >= 1 << 13


def paired(total, a, b, steps):
    """The total, and of each step the factors a and b, ready for `total.baddbmm_(a[i], b[i])`.

    Shapes: total [rows, columns], a [places, rows, samples], b [places, samples, columns]; the three may have one more axis in
    front of rows or samples. With fewer places than steps, these take turns. Rows go in groups: of few columns and many
    samples, 16 rows take three times as long as 15 (MKL); from some 64 rows on the product is fast as it is.
    """
    if total.dim() == 2:
        rows = len(total)
        size = next((size for size in range(15, 3, -1) if rows % size == 0), rows) if 16 <= rows <= 64 else rows
        groups = (rows // size, size)
        total, a, b = total.unflatten(0, groups), a.unflatten(1, groups), b.unsqueeze(1).expand(-1, groups[0], -1, -1)
    return total, *(x.unbind(0) * (steps // len(x) + 1) for x in (a, b))


def rented(steps, like, rows, shelf={}, lock=threading.Lock()):
    """An array [steps, *like.shape] with nothing in it yet, its places, and of each place the rows from a to b, for each of `rows`.

    On the processor views are made once for each shape, in memory that serves again as soon as no tensor of the array is
    left: of a small circuit the views cost as much as its steps."""

    def views(array):
        return array.unbind(0), [array[:, a:b].unbind(0) for a, b in rows]

    shape = (steps, *like.shape)
    if DEVICE.type != "cpu" or torch.compiler.is_compiling():
        array = torch.empty(shape, dtype=like.dtype, device=DEVICE)
        return array, *views(array)
    key = (shape, like.dtype, *rows)
    with lock:
        known = shelf.get(key, ())
        entry = next((entry for entry in known if sys.getrefcount(entry[0]) == 2), None)
        if entry is None:
            for other in list(shelf):
                shelf[other] = [entry for entry in shelf[other] if sys.getrefcount(entry[0]) > 2]
            memory = torch.empty(shape, dtype=like.dtype).numpy()
            entry = memory[:], *views(torch.from_numpy(memory))
            shelf[key] = [*shelf.get(key, ()), entry]
        return torch.from_numpy(entry[0]), entry[1], entry[2]


def recurrence(z, K, b, steps, curved):
    """z[n+1] = φ(K z[n] + b): z at the end, and as each step finds and leaves it, [rows, steps, samples]; and K.

    `curved` has the functions in φ, each with its first row and the one after its last."""
    states, slots, parts = rented(steps + 1, z, tuple((start, stop) for _, start, stop in curved))
    functions = [(function, part) for (function, _, _), part in zip(curved, parts, strict=True)]
    slots[0].copy_(z)
    for i in range(steps):
        if b is None:
            torch.mm(K, slots[i], out=slots[i + 1])
        else:
            torch.addmm(b, K, slots[i], out=slots[i + 1])
        for function, part in functions:
            function(part[i + 1], out=part[i + 1])
    return states[steps], states[:steps].transpose(0, 1), states[1:].transpose(0, 1), K


def recorded_recurrence(z, K, b, steps, curved):
    """What `recurrence` gives, where autograd records."""
    states = [z]
    for _ in range(steps):
        new = K @ states[-1] if b is None else K @ states[-1] + b
        parts, done = [], 0
        for function, start, stop in curved:
            parts += [new[done:start], function(new[start:stop])]
            done = stop
        states.append(torch.cat([*parts, new[done:]]))
    stack = torch.stack(states, dim=1)
    return states[-1], stack[:, :-1], stack[:, 1:], K


def recurrence_backward(end, before, after, K, d_end, d_before, d_after, curved, shift):
    """The cotangents of z, K and, where `shift` says so ("rows" or "samples"), of b.

    `curved` has the derivatives of the functions in φ from their values: (flow, value, grad_input=...)."""
    before, after = before.transpose(0, 1), after.transpose(0, 1)
    steps = len(before)
    flows, slots, parts = rented(steps, end, tuple((start, stop) for _, start, stop in curved))
    values = [after[:, start:stop].unbind(0) for _, start, stop in curved]
    slopes = [(slope, part, value) for (slope, _, _), part, value in zip(curved, parts, values, strict=True)]
    turned = K.mT
    flow = torch.zeros_like(end) if d_end is None else d_end
    if steps:
        slots[steps - 1].copy_(flow)
    for i in reversed(range(steps)):
        if d_after is not None:
            slots[i].add_(d_after[:, i])
        for slope, part, value in slopes:
            slope(part[i], value[i], grad_input=part[i])
        flow = torch.mm(turned, slots[i], out=slots[i - 1]) if i else torch.mm(turned, slots[i])
        if d_before is not None:
            flow.add_(d_before[:, i])
    d_K = torch.bmm(flows, before.mT).sum(0)
    if shift is None:
        return flow, d_K
    return flow, d_K, flows.sum(0) if shift == "samples" else flows.sum((0, 2))


def exp_backward(flow, value, grad_input):
    """flow * value"""
    return torch.mul(flow, value, out=grad_input)


def again(function, ctx, cotangents):
    """The gradients by what is wanted of the inputs, from a second run that autograd records, so that they have gradients too."""
    inputs, wanted = ctx.inputs, ctx.needs_input_grad
    if [x._version for x in inputs] != ctx.versions:
        raise RuntimeError("an input of the program was written into between its run and its second derivative")
    outputs = function(*inputs)
    pairs = [(x, g) for x, g in zip(outputs, cotangents, strict=True) if x.requires_grad and g is not None]
    leaves = [x for x, asked in zip(inputs, wanted, strict=True) if asked]
    ends, flows = [x for x, _ in pairs], [g for _, g in pairs]
    found = iter(torch.autograd.grad(ends, leaves, flows, create_graph=True, allow_unused=True))
    return tuple(next(found) if asked else None for asked in wanted)


def sparse_product(weight, index, x):
    """y[r] = sum_k weight[r, k] * x[index[r, k]]. Double precision has no fast sum of rows, and a sparse matrix no autograd."""
    source = x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)
    recorded = torch.is_grad_enabled() and (weight.requires_grad or x.requires_grad)
    if recorded or torch.float32 == FLOAT:
        given = (index.contiguous(), source.contiguous())
        total = torch.nn.functional.embedding_bag(*given, per_sample_weights=weight.contiguous(), mode="sum")
    else:
        rows, slots = weight.shape
        starts = torch.arange(0, rows * slots + 1, slots, device=DEVICE)
        parts = (starts, index.reshape(-1), weight.reshape(-1))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR", UserWarning)
            total = torch.sparse_csr_tensor(*parts, (rows, len(x)), check_invariants=False) @ source
    return total.reshape(len(weight), *x.shape[1:])


def pool_matrix(size, out):
    """[out, size]: row i averages window i of adaptive pooling."""
    matrix = torch.zeros((out, size), dtype=FLOAT, device=DEVICE)
    for i in range(out):
        start, stop = i * size // out, -((i + 1) * size // -out)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def host(x):
    """A tensor, or a number, as a NumPy array."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def split_words(number):
    """The high and the low 32 bits of 64-bit integers."""
    bits = np.asarray(number, np.int64).astype(np.uint64)
    return (bits >> np.uint64(32)).astype(np.uint32), (bits & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def threefry(key, counter):
    """Threefry-2x32 with 20 rounds. In NumPy also on a GPU: torch has no arithmetic of unsigned words."""
    k0, k1 = (np.asarray(word, np.uint32) for word in key)
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        # Written over and over: of new arrays the memory would cost more than the arithmetic.
        x0, x1 = np.asarray(counter[0] + k0), np.asarray(counter[1] + k1)
        x0 = np.array(np.broadcast_to(x0, np.broadcast_shapes(x0.shape, x1.shape)))
        x1 = np.array(np.broadcast_to(x1, x0.shape))
        high = np.empty_like(x0)
        for block in range(5):
            for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
                np.add(x0, x1, out=x0)
                np.left_shift(x1, np.uint32(rotation), out=high)
                np.right_shift(x1, np.uint32(32 - rotation), out=x1)
                np.bitwise_or(x1, high, out=x1)
                np.bitwise_xor(x1, x0, out=x1)
            np.add(x0, schedule[(block + 1) % 3], out=x0)
            np.add(x1, schedule[(block + 2) % 3] + np.uint32(block + 1), out=x1)
    return x0, x1


def counted(*axes, rank):
    """The number of each element, counted along the axes (size, place) with the last fastest, as an array of this rank."""
    number = np.zeros((1,) * rank, np.uint32)
    for size, place in axes:
        shape = [size if i == place else 1 for i in range(rank)]
        number = number * np.uint32(size) + np.arange(size, dtype=np.uint32).reshape(shape)
    return number


def draw_words(site, elements, seed, *keys):
    """Both random words of each element. Elements and keys are spread over the places of the result."""
    key = threefry(split_words(host(seed)), (np.uint32(site[0]), np.uint32(site[1])))
    for number in keys:
        key = threefry(key, split_words(host(number)))
    return threefry(key, (np.uint32(0), elements))


def unit_interval(words):
    """Uniform in [0, 1): 53 leading bits in double precision, 24 in single."""
    w0, w1 = words
    if torch.float32 == FLOAT:
        return (w0 >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    leading = (w0 >> np.uint32(5)).astype(np.float64) * 2.0**26
    return (leading + (w1 >> np.uint32(6)).astype(np.float64)) * 2.0**-53


@torch.compiler.disable
def draw_bits(site, elements, *keys):
    w0, w1 = draw_words(site, elements, *keys)
    return torch.as_tensor((w0 ^ w1).astype(np.int64), device=DEVICE)


@torch.compiler.disable
def draw_uniform(site, elements, *keys):
    return torch.as_tensor(unit_interval(draw_words(site, elements, *keys)), device=DEVICE)


@torch.compiler.disable
def draw_normal(site, elements, *keys):
    """Box and Muller."""
    number = np.float32 if torch.float32 == FLOAT else np.float64
    w0, w1 = (word.astype(number) for word in draw_words(site, elements, *keys))
    radius = np.sqrt(number(-2) * np.log((w0 + number(0.5)) * number(2**-32)))
    return torch.as_tensor(np.asarray(radius * np.cos(w1 * number(2 * np.pi * 2**-32))), device=DEVICE)


@torch.compiler.disable
def draw_bernoulli(site, elements, *keys, p):
    """True where the 64-bit number is below p * 2^64."""
    return torch.as_tensor(below(draw_words(site, elements, *keys), host(p)), device=DEVICE)


def below(words, p):
    """Whether 64-bit numbers are below p * 2^64; each step is exact, and integers are cut off."""
    scaled = np.where((p > 0) & (p < 1), p, 0) * p.dtype.type(2**32)
    t0 = scaled.astype(np.uint32)
    t1 = ((scaled - t0.astype(p.dtype)) * p.dtype.type(2**32)).astype(np.uint32)
    w0, w1 = words
    return (p >= 1) | (w0 < t0) | ((w0 == t0) & (w1 < t1))


@torch.compiler.disable
def draw_word(site, elements, *keys, p):
    """Bernoulli draws of elements along the first axis, element i as bit i."""
    drawn = below(draw_words(site, elements, *keys), host(p))
    bits = drawn.astype(np.int64) << elements.astype(np.int64)
    return torch.as_tensor(bits.sum(0), device=DEVICE)


@torch.compiler.disable
def draw_poisson(site, elements, *keys, mean):
    """Counts by inversion of one uniform number."""
    u = unit_interval(draw_words(site, elements, *keys))
    mean = np.broadcast_to(host(mean), u.shape)
    count = np.zeros(u.shape, np.int64)
    term = np.exp(-mean)
    total = term
    going = (u >= total) & (term > 0)
    while going.any():
        count = count + going
        term = np.where(going, term * (mean / np.maximum(count, 1).astype(u.dtype)), term)
        total = np.where(going, total + term, total)
        going = going & (u >= total) & (term > 0)
    return torch.as_tensor(count, device=DEVICE)


@torch.compiler.disable
def draw_permutation(site, elements, *keys, axis):
    """The order of the elements' 64-bit numbers along an axis."""
    w0, w1 = draw_words(site, elements, *keys)
    number = (w0.astype(np.uint64) << np.uint64(32)) | w1
    return torch.as_tensor(np.argsort(number, axis=axis, kind="stable").astype(np.int64), device=DEVICE)


def deliver(z, rows, target, weight, ring, now, delay, steps, per, reached=None):
    """ring[(now + delay[e]) % slots, target[e]] += z[j]*weight[e] for each connection e of each source j that is not silent.

    Shapes: z [pre, ...] and ring [slot, post, ...] with the same rest; `per` says whether there is a weight for all (0), a source (1)
    or a connection (2), `steps` is the delay of all connections, or -1. The derivative by z is 0 where `reached`, shaped as z, is 0.
    """
    given = (z, rows, target, weight, ring, now, delay, steps, per)
    if torch.is_grad_enabled() and (z.requires_grad or weight.requires_grad or ring.requires_grad):
        return event_functions()[0].apply(*given, reached)
    return delivered(*given)


def collect(rows, target, weight, ring, now, delay, steps, per, reached=None):
    """y[j] = sum over the connections e of source j of weight[e]*ring[(now + delay[e]) % slots, target[e]], 0 where `reached` is."""
    given = (rows, target, weight, ring, now, delay, steps, per, reached)
    if torch.is_grad_enabled() and (weight.requires_grad or ring.requires_grad):
        return event_functions()[1].apply(*given)
    return collected(*given)


def per_edge(z, rows, target, ring, now, delay, steps):
    """y[e] = z[j]*ring[(now + delay[e]) % slots, target[e]] for each connection e of each source j, summed over all else."""
    given = (z, rows, target, ring, now, delay, steps)
    if torch.is_grad_enabled() and (z.requires_grad or ring.requires_grad):
        return event_functions()[2].apply(*given)
    return by_edge(*given)


def untaped(*tensors):
    """Whether autograd follows none of these."""
    return not torch.is_grad_enabled() or not any(x.requires_grad for x in tensors)


def put_within(x, place, index, row):
    """`index_copy`, into an array that nothing reads as it was, where autograd follows nothing."""
    return x.index_copy_(place, index, row) if untaped(x, row) else x.index_copy(place, index, row)


def deliver_within(z, rows, target, weight, ring, now, delay, steps, per, reached=None):
    """`deliver`, into a ring that nothing reads as it was, where autograd follows nothing."""
    given = (z, rows, target, weight, ring, now, delay, steps, per)
    if not untaped(z, weight, ring):
        return deliver(*given, reached)
    return delivered(*given, ring) if ring.is_contiguous() else ring.copy_(delivered(*given))


def delivered(z, rows, target, weight, ring, now, delay, steps, per, found=None):
    if found is None:
        found = ring.contiguous().clone() if ring.is_contiguous() else ring.contiguous()
    if event_kernel("deliver", found, (z, rows, target, weight, found, now, delay), steps, per):
        return found
    edges, pre = edges_of(rows, active_sources(z))
    values = z[pre] * event_weights(weight, edges, pre, per, z.ndim)
    places = event_slots(edges, now, delay, steps, len(ring)) * ring.shape[1] + target[edges]
    found.flatten(0, 1).index_add_(0, places, values)
    return found


def collected(rows, target, weight, ring, now, delay, steps, per, reached=None):
    found = torch.zeros((len(rows) - 1, *ring.shape[2:]), dtype=ring.dtype, device=ring.device)
    if event_kernel("collect", found, (None, rows, target, weight, ring.contiguous(), now, delay), steps, per, reached):
        return found
    asked = torch.arange(len(rows) - 1, device=ring.device) if reached is None else active_sources(reached)
    edges, pre = edges_of(rows, asked)
    places = event_slots(edges, now, delay, steps, len(ring)) * ring.shape[1] + target[edges]
    values = ring.flatten(0, 1)[places] * event_weights(weight, edges, pre, per, ring.ndim - 1)
    found.index_add_(0, pre, values)
    return found if reached is None else torch.where(reached != 0, found, 0)


def by_edge(z, rows, target, ring, now, delay, steps):
    found = torch.zeros(len(target), dtype=ring.dtype, device=ring.device)
    if event_kernel("per_edge", found, (z, rows, target, None, ring.contiguous(), now, delay), steps, 0):
        return found
    edges, pre = edges_of(rows, torch.arange(len(rows) - 1, device=ring.device))
    places = event_slots(edges, now, delay, steps, len(ring)) * ring.shape[1] + target
    return (
        (z[pre] * ring.flatten(0, 1)[places]).flatten(1).sum(1) if z.ndim > 1 else z[pre] * ring.flatten(0, 1)[places]
    )


def active_sources(z):
    return torch.nonzero(z.flatten(1).any(1) if z.ndim > 1 else z).flatten()


def edges_of(rows, sources):
    """The connections of these sources, in order, and the source of each."""
    counts = rows[sources + 1] - rows[sources]
    pre = torch.repeat_interleave(sources, counts)
    first = torch.repeat_interleave(rows[sources] - torch.cumsum(counts, 0) + counts, counts)
    return first + torch.arange(len(pre), device=pre.device), pre


def event_slots(edges, now, delay, steps, slots):
    return (now + (delay[edges] if steps < 0 else steps)) % slots


def event_weights(weight, edges, pre, per, axes):
    if per == 0:
        return weight
    return weight[edges if per == 2 else pre].reshape(-1, *(1,) * (axes - 1))


def event_kernel(name, found, operands, steps, per, reached=None, known={}):
    """Whether the compiled kernel of this operation filled `found`. There is one on a processor, where CortexSpec finds a C++ compiler."""
    if "library" not in known:
        known["library"] = None
        try:
            from cortexspec.contracts import native

            known["library"] = native.library("deliver")
        except ImportError:
            pass
    if known["library"] is None or found.device.type != "cpu":
        return False
    z, rows, target, weight, ring, now, delay = operands
    key = (name, len(rows), ring.shape, steps, per, found.dtype)
    if key not in known:
        kind = f"{'f32' if found.dtype == torch.float32 else 'f64'}_i64"
        width = math.prod(ring.shape[2:])
        sizes = (ctypes.c_int64 * 6)(len(rows) - 1, ring.shape[1], len(ring), width, per, steps)
        function = getattr(known["library"], f"{name}_{kind}")
        function.restype = None
        known[key] = (function, sizes)
    function, sizes = known[key]
    arrays = [
        x.contiguous()
        for x in (z, rows, target, weight, None if name == "deliver" else ring, now, delay)
        if x is not None
    ]
    places = [ctypes.c_void_p(x.data_ptr()) for x in arrays]
    if name == "collect":
        reached = None if reached is None else reached.contiguous()
        places.append(ctypes.c_void_p(None if reached is None else reached.data_ptr()))
    function(sizes, *places, ctypes.c_void_p(found.data_ptr()))
    return True


def event_functions(known={}):
    """`deliver`, `collect` and `per_edge` for autograd; each one's derivatives are the other two, so that they have derivatives again."""
    if known:
        return known["all"]

    def weight_flow(z, rows, target, weight, ring, now, delay, steps, per):
        if per == 2:
            return per_edge(z, rows, target, ring, now, delay, steps)
        found = z * collect(rows, target, torch.ones_like(weight.flatten()[0]), ring, now, delay, steps, 0)
        return found.sum() if per == 0 else found.flatten(1).sum(1) if found.ndim > 1 else found

    class Deliver(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z, rows, target, weight, ring, now, delay, steps, per, reached):
            ctx.save_for_backward(z, rows, target, weight, now, delay, reached)
            ctx.given = (steps, per)
            return delivered(z, rows, target, weight, ring, now, delay, steps, per)

        @staticmethod
        def backward(ctx, flow):
            z, rows, target, weight, now, delay, reached = ctx.saved_tensors
            steps, per = ctx.given
            wanted = ctx.needs_input_grad
            dz = collect(rows, target, weight, flow, now, delay, steps, per, reached) if wanted[0] else None
            dw = weight_flow(z, rows, target, weight, flow, now, delay, steps, per) if wanted[3] else None
            return dz, None, None, dw, flow, None, None, None, None, None

    class Collect(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows, target, weight, ring, now, delay, steps, per, reached):
            ctx.save_for_backward(rows, target, weight, ring, now, delay, reached)
            ctx.given = (steps, per)
            return collected(rows, target, weight, ring, now, delay, steps, per, reached)

        @staticmethod
        def backward(ctx, flow):
            rows, target, weight, ring, now, delay, reached = ctx.saved_tensors
            flow = flow if reached is None else torch.where(reached != 0, flow, 0)
            steps, per = ctx.given
            wanted = ctx.needs_input_grad
            dw = weight_flow(flow, rows, target, weight, ring, now, delay, steps, per) if wanted[2] else None
            empty = torch.zeros_like(ring)
            dring = deliver(flow, rows, target, weight, empty, now, delay, steps, per) if wanted[3] else None
            return None, None, dw, dring, None, None, None, None, None

    class PerEdge(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z, rows, target, ring, now, delay, steps):
            ctx.save_for_backward(z, rows, target, ring, now, delay)
            ctx.steps = steps
            return by_edge(z, rows, target, ring, now, delay, steps)

        @staticmethod
        def backward(ctx, flow):
            z, rows, target, ring, now, delay = ctx.saved_tensors
            wanted = ctx.needs_input_grad
            dz = collect(rows, target, flow, ring, now, delay, ctx.steps, 2) if wanted[0] else None
            empty = torch.zeros_like(ring)
            dring = deliver(z, rows, target, flow, empty, now, delay, ctx.steps, 2) if wanted[3] else None
            return dz, None, None, dring, None, None, None

    known["all"] = Deliver, Collect, PerEdge
    return known["all"]
