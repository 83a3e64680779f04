"""Random draws: Threefry-2x32 with 20 rounds, keyed by seed, site, trial and step, counted by element.

key   k = threefry(seed, site), then threefry(k, trial) where a draw differs between trials, then threefry(k, step)
      where it differs between steps; a 64-bit number is given as (high, low) words
site  the first 64 bits of SHA-256 of the text `site` (the dotted name of what is drawn, and its ordinal)
words (w0, w1) = threefry(k, (high i, low i)) for element i; the elements are counted along `axes`, the last fastest,
      whatever the layout

No draw depends on another, on the size of a batch, or on an order of evaluation.

Source: Salmon, Moraes, Dror and Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, align, in_layout, op
from cortexspec.ir.types import Axis, RuleError, Type, require_dtype, require_free, require_pure, union_axes

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_DRAWN_AT_ONCE = 2**18
_AT_ONCE = 2**15  # words whose intermediate steps stay in a processor's cache

Words = tuple[Array, Array]


def threefry(key: Words, counter: Words) -> Words:
    """Threefry-2x32-20 of two 32-bit words under a key of two; arrays are broadcast."""
    k0, k1 = (np.asarray(word, np.uint32) for word in key)
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    with np.errstate(over="ignore"):
        x0, x1 = np.asarray(counter[0], np.uint32) + k0, np.asarray(counter[1], np.uint32) + k1
        for block in range(5):
            for rotation in _ROTATIONS[block % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))) ^ x0
            x0 = x0 + schedule[(block + 1) % 3]
            x1 = x1 + schedule[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


def split_words(number: Array) -> Words:
    """The high and the low 32 bits of 64-bit integers."""
    bits = np.asarray(number, np.int64).astype(np.uint64)
    return (bits >> np.uint64(32)).astype(np.uint32), (bits & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def site_words(site: str) -> tuple[int, int]:
    """The first 64 bits of SHA-256 of the site's name, as (high, low)."""
    digest = sha256(site.encode()).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")


def draw_words(site: str, seed: Array, keys: Sequence[Array], count: int, first: int = 0) -> Words:
    """Both words of `count` elements from `first` on, on a last axis behind the axes of seed and keys."""
    key = _key(site, seed, keys)
    wide = (key[0][..., np.newaxis], key[1][..., np.newaxis])
    shape = np.broadcast_shapes(np.shape(key[0]), np.shape(key[1]))
    length = max(1, _AT_ONCE // max(1, int(np.prod(shape))))
    if count <= length:
        return threefry(wide, split_words(np.arange(first, first + count, dtype=np.int64)))
    found = np.empty((*shape, count), np.uint32), np.empty((*shape, count), np.uint32)
    for start in range(0, count, length):
        stop = min(start + length, count)
        words = threefry(wide, split_words(np.arange(first + start, first + stop, dtype=np.int64)))
        for whole, part in zip(found, words, strict=True):
            whole[..., start:stop] = part
    return found


def words_of(site: str, seed: Array, keys: Sequence[Array], elements: Array) -> Words:
    """Both words of these elements; seed and keys have no axis."""
    return threefry(_key(site, seed, keys), split_words(elements))


def _key(site: str, seed: Array, keys: Sequence[Array]) -> Words:
    high, low = site_words(site)
    key = threefry(split_words(seed), (np.uint32(high), np.uint32(low)))  # type: ignore[arg-type]
    for number in keys:
        key = threefry(key, split_words(number))
    return key


def unit_interval(words: Words, dtype: np.dtype[np.floating]) -> Array:
    """Uniform in [0, 1): the 53 leading bits in double precision, the 24 leading bits in single."""
    w0, w1 = words
    if dtype == np.float32:
        return (w0 >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    leading = (w0 >> np.uint32(5)).astype(np.float64) * 2.0**26
    return (leading + (w1 >> np.uint32(6)).astype(np.float64)) * 2.0**-53


def below(words: Words, p: Array) -> Array:
    """Whether the 64-bit number n = w0*2^32 + w1 is below the threshold T = floor(p * 2^64).

    T = t0*2^32 + t1 with t0 = floor(p * 2^32) and t1 = floor((p * 2^32 - t0) * 2^32). Scaling by a power of two, the whole part and
    the rest after it are exact in double and in single precision, so T is the integer of this p, whoever computes it, and n < T
    compares integers. p <= 0 gives T = 0 (never), p >= 1 always, p that is no number never.
    """
    scaled = p * p.dtype.type(2**32)
    first = np.floor(scaled)
    second = np.floor((scaled - first) * p.dtype.type(2**32))
    inside = (p > 0) & (p < 1)
    t0 = np.where(inside, first, 0).astype(np.uint64)
    t1 = np.where(inside, second, 0).astype(np.uint64)
    w0, w1 = (word.astype(np.uint64) for word in words)
    return (p >= 1) | (inside & ((w0 < t0) | ((w0 == t0) & (w1 < t1))))


class Draw(Op):
    """Operands: arguments of the distribution, the seed, the trial where `per_trial`, the step where `per_step`.

    Seed, trial and step are integers; their axes (the trial's sample axis) are axes of the result, beside `axes`, which
    number the elements. Arguments are aligned by name.
    """

    arguments: ClassVar[int] = 0
    by_element: ClassVar[bool] = True  # whether elements can be drawn without the others
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool
    per_step: bool

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        wanted = self.arguments + 1 + self.per_trial + self.per_step
        if len(operands) != wanted:
            raise RuleError("CS601", f"{self.name} of {self.site} has {len(operands)} operands, not {wanted}")
        keys = operands[self.arguments :]
        for place, key in enumerate(keys, start=self.arguments):
            require_dtype(key, "a random key", "int", operand=place)
        free = require_free(union_axes(*keys), self.axes, f"the draw {self.site}")
        for place, argument in enumerate(operands[: self.arguments]):
            for axis in argument.axes:
                if axis not in free:
                    raise RuleError(
                        "CS501", f"the draw {self.site} has no axis `{axis.name}`, but its argument has", operand=place
                    )
        return (self.result(*operands[: self.arguments]).with_axes(free),)

    def result(self, *arguments: Type) -> Type:
        raise NotImplementedError

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        keys = operands[self.arguments :]
        names = {name for key in keys for name in key.axes}
        outer = [name for name in context.axes(results[0]) if name in names]
        shape = [axis.size.evaluate(context.sizes) for axis in self.axes]
        seed, *rest = (align(key, outer) for key in keys)
        if not outer and len(shape) == 1 and shape[0] > _DRAWN_AT_ONCE:
            return (self._in_pieces(operands, results[0], seed, rest, shape[0], context),)
        words = draw_words(self.site, seed, rest, int(np.prod(shape)))
        whole = [*outer, *(axis.name for axis in self.axes)]
        spread = tuple(in_layout(w.reshape((*w.shape[:-1], *shape)), whole, results[0], context).array for w in words)
        axes = context.axes(results[0])
        arguments = [align(argument, axes) for argument in operands[: self.arguments]]
        array = self.compute((spread[0], spread[1]), arguments, context)
        return (Tensor(np.asarray(array, context.numpy_dtype(results[0])), axes),)

    def evaluate_at(
        self, operands: Sequence[Tensor], result: Type, coordinates: Mapping[str, Array], context: Context
    ) -> Tensor:
        """The elements at places that are given by a coordinate [place] an axis; keys have no axis, arguments have none or [place]."""
        shape = tuple(axis.size.evaluate(context.sizes) for axis in self.axes)
        counted = np.ravel_multi_index(tuple(coordinates[axis.name] for axis in self.axes), shape)
        seed, *rest = (operand.array for operand in operands[self.arguments :])
        arguments = [operand.array for operand in operands[: self.arguments]]
        words = words_of(self.site, seed, rest, counted)
        return Tensor(
            np.asarray(self.compute(words, arguments, context), context.numpy_dtype(result)), context.axes(result)
        )

    def _in_pieces(
        self, operands: Sequence[Tensor], result: Type, seed: Array, keys: Sequence[Array], count: int, context: Context
    ) -> Tensor:
        """Many elements along one axis, so many at a time that what comes between takes no room."""
        axes = context.axes(result)
        arguments = [align(argument, axes) for argument in operands[: self.arguments]]
        found = np.empty(count, context.numpy_dtype(result))
        for start in range(0, count, _DRAWN_AT_ONCE):
            stop = min(start + _DRAWN_AT_ONCE, count)
            words = draw_words(self.site, seed, keys, stop - start, start)
            here = [argument if np.size(argument) == 1 else argument[start:stop] for argument in arguments]
            found[start:stop] = self.compute(words, here, context)
        return Tensor(found, axes)

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        raise NotImplementedError

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        return [None] * len(operands)


@op
@dataclass(frozen=True, slots=True)
class Bits(Draw):
    """32 random bits an element, w0 xor w1: what `jax.random.bits` gives on the same key."""

    name: ClassVar[str] = "random.bits"
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        return Type((), "bits")

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        return words[0] ^ words[1]


@op
@dataclass(frozen=True, slots=True)
class Uniform(Draw):
    """Uniform in [0, 1): (53 leading bits of w0 w1) * 2^-53, in single precision (24 leading bits of w0) * 2^-24."""

    name: ClassVar[str] = "random.uniform"
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        return Type()

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        return unit_interval(words, context.dtype)


@op
@dataclass(frozen=True, slots=True)
class Normal(Draw):
    """Standard normal by Box and Muller: sqrt(-2 log((w0 + 1/2)/2^32)) * cos(2 pi w1/2^32)."""

    name: ClassVar[str] = "random.normal"
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        return Type()

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        number = context.dtype.type
        w0, w1 = (word.astype(context.dtype) for word in words)
        radius = np.sqrt(number(-2) * np.log((w0 + number(0.5)) * number(2**-32)))
        return radius * np.cos(w1 * number(2 * np.pi * 2**-32))


@op
@dataclass(frozen=True, slots=True)
class Bernoulli(Draw):
    """True with probability p: the 64-bit number w0*2^32 + w1 of an element is below the integer floor(p * 2^64).

    t0 = floor(p * 2^32) and t1 = floor((p * 2^32 - t0) * 2^32) are its words. Both are exact, since scaling by 2^32, the whole part
    and the rest lose no bit of p (a double with 53 bits, a single with 24), so engines that agree on p agree on the draw. p <= 0
    is never true, p >= 1 always, p that is no number never; the distribution `bernoulli` of the language refuses what lies outside
    [0, 1]. Operands: p, then the keys. No gradient.
    """

    name: ClassVar[str] = "random.bernoulli"
    arguments: ClassVar[int] = 1
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        require_dtype(arguments[0], "a probability", "float")
        require_pure(arguments[0], "a probability")
        return Type((), "bool")

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        return below(words, arguments[0])


@op
@dataclass(frozen=True, slots=True)
class Word(Draw):
    """Bernoulli draws of at most 24 elements as one number: element i is bit i. Each is that of `random.bernoulli`.

    Operands: p, then the keys, which do not have the axis of the elements. No gradient.
    """

    name: ClassVar[str] = "random.word"
    by_element: ClassVar[bool] = False
    arguments: ClassVar[int] = 1
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        if len(self.axes) != 1:
            raise RuleError("CS601", f"the word {self.site} runs along one axis, not {len(self.axes)}")
        (drawn,) = self._bits.rule(*operands)
        return (Type(drawn.without([self.axes[0].name]), "int"),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        drawn = Type((*results[0].axes, self.axes[0]), "bool")
        (bits,) = self._bits.evaluate(operands, (drawn,), context)
        words = np.moveaxis(bits.array, bits.axes.index(self.axes[0].name), -1)
        values = np.int64(1) << np.arange(words.shape[-1], dtype=np.int64)
        return (Tensor(np.asarray(words @ values, np.int64), context.axes(results[0])),)

    @property
    def _bits(self) -> Bernoulli:
        return Bernoulli(self.site, self.axes, self.per_trial, self.per_step)


@op
@dataclass(frozen=True, slots=True)
class Poisson(Draw):
    """Poisson counts by inversion of one uniform number u; for means up to 700 (80 in single precision).

    The count is the number of k with u >= s_k, s_k = sum of p_0 to p_k, p_0 = exp(-mean), p_k = p_(k-1)*(mean/k), in
    this order of operations, while p_k > 0. Operands: mean, then the keys. No gradient.
    """

    name: ClassVar[str] = "random.poisson"
    arguments: ClassVar[int] = 1
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        require_dtype(arguments[0], "a mean count", "float")
        require_pure(arguments[0], "a mean count")
        return Type((), "int")

    def compute(self, words: Words, arguments: Sequence[Array], context: Context) -> Array:
        u = unit_interval(words, context.dtype)
        mean = np.broadcast_to(arguments[0], u.shape)
        count = np.zeros(u.shape, np.int64)
        term = np.exp(-mean)
        total = term
        going = (u >= total) & (term > 0)
        while going.any():
            count = count + going
            term = np.where(going, term * (mean / np.maximum(count, 1).astype(context.dtype)), term)
            total = np.where(going, total + term, total)
            going = going & (u >= total) & (term > 0)
        return count


@op
@dataclass(frozen=True, slots=True)
class Permutation(Draw):
    """A permutation of 0 to n - 1 along the one axis: the order of the elements' 64-bit numbers."""

    name: ClassVar[str] = "random.permutation"
    by_element: ClassVar[bool] = False
    site: str
    axes: tuple[Axis, ...]
    per_trial: bool = False
    per_step: bool = False

    def result(self, *arguments: Type) -> Type:
        if len(self.axes) != 1:
            raise RuleError("CS601", f"the permutation {self.site} runs along one axis, not {len(self.axes)}")
        return Type((), "int")

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        names = {name for key in operands for name in key.axes}
        outer = [name for name in context.axes(results[0]) if name in names]
        seed, *rest = (align(key, outer) for key in operands)
        w0, w1 = draw_words(self.site, seed, rest, self.axes[0].size.evaluate(context.sizes))
        number = (w0.astype(np.uint64) << np.uint64(32)) | w1
        order = np.argsort(number, axis=-1, kind="stable").astype(np.int64)
        return (in_layout(order, [*outer, self.axes[0].name], results[0], context),)
