"""How the operations of `cortexspec_torch.fuse` read."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.types import Type
from cortexspec_torch.emit.base import arranged, emit, numbers_ahead
from cortexspec_torch.fuse import (
    ExpmAdjoint,
    ExpmKept,
    Part,
    ReluBackward,
    SigmoidBackward,
    Stack,
    TanhBackward,
    Terms,
    Update,
    orientation,
)
from cortexspec_torch.views import Constants, Reshape, Unbind

Given = tuple[Part, tuple[Term, ...]]


@emit.register
def terms(op: Terms, write: Writer, *operands: Term) -> str:
    """The first call makes a fresh array, each further one adds to it in place: offset, matrices, then the diagonal."""
    parts: list[Given] = []
    rest = list(operands)
    for part in op.parts:
        parts.append((part, tuple(rest[: part.width])))
        rest = rest[part.width :]
    axes = write.axes(write.results[0].type)
    first, left = _first(write, parts, axes)
    return first + "".join(added(write, part, values, axes) for part, values in left)


def _first(write: Writer, parts: list[Given], axes: Sequence[str]) -> tuple[str, list[Given]]:
    """A call that gives an array with all axes, and the parts that are still to be added."""
    matrices = [given for given in parts if given[0].kind == "matrix"]
    products = [given for given in parts if given[0].kind == "product"]
    plains = [given for given in parts if given[0].kind == "plain"]
    ones = [given for given in plains if given[0].scale == 1 and not given[1][0].literal]
    whole = next((given for given in products if _axes_of(given) == set(axes)), None)
    if matrices and whole is not None:
        # A product that starts the sum writes its array once; added to it, it reads and writes it again (under autograd it is two calls).
        products, matrices = [whole], []
    if matrices:
        part, (a, b) = matrices[0]
        left, right, batched = _matrices(write, part, a, b, axes)
        small = min(ones, key=lambda given: len(given[1][0].axes), default=None)
        if small is not None:
            name, scale = "torch.baddbmm" if batched else "torch.addmm", _option("alpha", part.scale)
            text = f"{name}({write.align(small[1][0], axes)}, {left}, {right}{scale})"
            return text, _without(parts, matrices[0], small)
        text = f"{'torch.bmm' if batched else 'torch.mm'}({left}, {right})"
        return text + _scaled(write, part.scale), _without(parts, matrices[0])
    base = next((given for given in ones if given[1][0].axes == tuple(axes)), None)
    if products and base is not None and not write.records and not any(term.literal for term in products[0][1]):
        part, (a, b) = products[0]
        texts = ", ".join(write.align(term, axes) for term in (base[1][0], a, b))
        return f"torch.addcmul({texts}{_option('value', part.scale)})", _without(parts, base, products[0])
    if products:
        part, (a, b) = products[0]
        factors = numbers_ahead(write, *sorted((a, b), key=lambda term: term.literal))
        left, right = (write.align(term, axes) for term in factors)
        return f"torch.mul({left}, {right})" + _scaled(write, part.scale), _without(parts, products[0])
    whole = next((given for given in ones if given[1][0].axes == tuple(axes)), None)
    if whole is not None:
        other = _without(parts, whole)
        part, (x,) = other[0]
        alpha = "" if x.literal else _option("alpha", part.scale)
        right = f"{part.scale!r} * {x}" if x.literal and part.scale != 1 else write.align(x, axes)
        return f"torch.add({whole[1][0]}, {right}{alpha})", other[1:]
    whole = next(given for given in plains if given[1][0].axes == tuple(axes))
    part, (x,) = whole
    if x.literal:  # for two numbers torch.mul would take torch's default precision
        return f"torch.tensor({x} * {part.scale!r}, dtype=FLOAT, device=DEVICE)", _without(parts, whole)
    return f"torch.mul({x}, {_number(write, part.scale)})", _without(parts, whole)


def _axes_of(given: Given) -> set[str]:
    return {name for term in given[1] for name in term.axes}


def added(write: Writer, part: Part, values: Sequence[Term], axes: Sequence[str]) -> str:
    """The method call that adds a part in place."""
    if part.kind == "matrix":
        left, right, batched = _matrices(write, part, values[0], values[1], axes)
        return f".{'baddbmm_' if batched else 'addmm_'}({left}, {right}{_option('alpha', part.scale)})"
    texts = [write.align(term, axes) for term in values]
    if part.kind == "plain":
        if values[0].literal:
            ahead = numbers_ahead(write, values[0])[0]
            return f".add_({ahead})" if part.scale == 1 else f".add_({part.scale!r} * {values[0]})"
        if part.scale == -1:
            return f".sub_({texts[0]})"
        return f".add_({texts[0]}{_option('alpha', part.scale)})"
    if values[0].literal or values[1].literal:
        array, number = texts if values[1].literal else texts[::-1]
        return f".add_({array}, alpha={number}{'' if part.scale == 1 else f' * {part.scale!r}'})"
    if write.records:
        # The backward of addcmul multiplies both factors by its value, at full size.
        product = f"{texts[0]} * {texts[1]}"
        if abs(part.scale) == 1:
            return f".{'add_' if part.scale == 1 else 'sub_'}({product})"
        return f".add_({product}, alpha={part.scale!r})"
    return f".addcmul_({texts[0]}, {texts[1]}{_option('value', part.scale)})"


def _matrices(write: Writer, part: Part, a: Term, b: Term, axes: Sequence[str]) -> tuple[str, str, bool]:
    turned = orientation(a.type, b.type, part.over, axes)
    left, right = (a, b) if turned else (b, a)
    lead = [name for name in axes if name in left.axes and name in right.axes]
    rows = [name for name in axes if name not in right.axes]
    columns = [name for name in axes if name not in left.axes]
    first = arranged(write, left, [*lead, *rows, *part.over])
    return first, arranged(write, right, [*lead, *part.over, *columns]), bool(lead)


def _option(name: str, scale: float) -> str:
    return "" if scale == 1 else f", {name}={scale!r}"


def _scaled(write: Writer, scale: float) -> str:
    return "" if scale == 1 else f".mul_({_number(write, scale)})"


def _number(write: Writer, scale: float) -> str:
    """A number as this place wants it."""
    return numbers_ahead(write, write.number(scale, Type()))[0]


def _without(parts: list[Given], *taken: Given) -> list[Given]:
    return [given for given in parts if not any(given is one for one in taken)]


@emit.register
def update(op: Update, write: Writer, whole: Term, *operands: Term) -> str:
    axes, text, rest = write.axes(write.results[0].type), str(whole), list(operands)
    for part in op.parts:
        text += added(write, part, rest[: part.width], axes)
        rest = rest[part.width :]
    return text


@emit.register
def unbind(op: Unbind, write: Writer, x: Term) -> str:
    return f"{x}.unbind({x.axes.index(op.axis)})"


@emit.register
def reshape(op: Reshape, write: Writer, x: Term) -> str:
    return f"{x}.reshape({write.shape(op.result)})"


@emit.register
def constants(op: Constants, write: Writer) -> str:
    call = f"{write.program.function_name(op.function)}()"
    return call if len(write.results) > 1 else f"{call}[0]"


@emit.register
def sigmoid_backward(op: SigmoidBackward, write: Writer, g: Term, y: Term) -> str:
    return f"torch.ops.aten.sigmoid_backward({g}, {y})"


@emit.register
def tanh_backward(op: TanhBackward, write: Writer, g: Term, y: Term) -> str:
    return f"torch.ops.aten.tanh_backward({g}, {y})"


@emit.register
def relu_backward(op: ReluBackward, write: Writer, g: Term, x: Term) -> str:
    return f"torch.ops.aten.threshold_backward({g}, {x}, 0)"


@emit.register
def stack(op: Stack, write: Writer, *operands: Term) -> str:
    result = write.results[0].type
    arrays = ", ".join(write.array(x) for x in operands)
    others = [axis for axis in result.axes if axis.name != op.axis]
    if len(others) == 1 and write.fixed(others[0].size) == 1:
        return f"torch.cat([{arrays}]).reshape({write.shape(result)})"  # no view of each
    return f"torch.stack([{arrays}], dim={write.axes(result).index(op.axis)})"


@emit.register
def expm_kept(op: ExpmKept, write: Writer, a: Term) -> str:
    return f"{write.helper('expm_kept')}({write.array(a)})"


@emit.register
def expm_adjoint(op: ExpmAdjoint, write: Writer, kept: Term, flow: Term) -> str:
    return f"{write.helper('expm_adjoint')}({kept}, {write.array(flow)})"
