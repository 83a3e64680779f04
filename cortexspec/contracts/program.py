"""What a backend that writes Python needs: identifiers, the frame of a function, the margin, execution of the text.

A backend adds three things of its own: `emit`, a singledispatch function over op classes that says how one op reads in
the target; a `Dialect`, the handful of words that differ; and helper functions whose source is printed into the program.
"""

from __future__ import annotations

import importlib
import inspect
import json
import keyword
import linecache
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from cortexspec.contracts.backend import Bound
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.builder import Names
from cortexspec.ir.module import APART, Function, Line, Module, Value
from cortexspec.ir.op import OPS, Op
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Type

MARGIN = 84
LONGEST = 118


class Term(str):
    """The Python text of a value, with its type, its axes in the layout's order, and the block that defines it.

    `literal`: a Python number, which is written where it is read and is no array.
    """

    type: Type
    axes: tuple[str, ...]
    block: Block
    literal: bool

    @staticmethod
    def of(text: str, type_: Type, axes: tuple[str, ...], block: Block, literal: bool = False) -> Term:
        term = Term(text)
        term.type, term.axes, term.block, term.literal = type_, axes, block, literal
        return term


@dataclass
class Block:
    """Lines of one indentation. A line is text and margin."""

    depth: int
    lines: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    views: dict[tuple[str, str], Term] = field(default_factory=dict[tuple[str, str], Term])

    def add(self, text: str, margin: str = "") -> None:
        self.lines.append((self.depth, text, margin))


Emit = Callable[..., "str | Term | None"]


@dataclass(frozen=True)
class Dialect:
    """What differs between targets.

    `into` writes a result into an array that is there, where the target can (gives None where it cannot). `widen` gives
    an array a place of size 1 for each axis that it lacks.
    `imports` are the lines on top; `literal(text, dtype)` makes an array of a Python number; `helpers` are the functions
    that a program may use, by name; `reserved` the names that no value may have.
    """

    name: str
    imports: tuple[str, ...]
    constants: Callable[[str], tuple[str, ...]]
    literal: Callable[[str, str], str]
    helpers: Mapping[str, Any]
    emit: Emit
    reserved: tuple[str, ...] = ()
    into: Callable[[str, str], str | None] = lambda text, place: None
    widen: Callable[[str, Sequence[bool]], str] = lambda text, has: (
        f"{text}[{', '.join(':' if h else 'None' for h in has)}]"
    )


def identifier(name: str) -> str:
    """A name of a spec as Python reads it: dots become `_`, each prime adds to `_d1`, `_d2`; letters stay.

    `V.γ1` -> `V_γ1`, `V.ss.v'` -> `V_ss_v_d1`.
    """
    text = re.sub(r"'+", lambda primes: f"_d{len(primes.group())}", unicodedata.normalize("NFKC", name))
    text = "".join(c if c == "_" or ("a" + c).isidentifier() else "_" for c in text)
    if not text or not text.isidentifier():
        text = "_" + text
    return text + "_" if keyword.iskeyword(text) else text


def margin(type_: Type, axes: Sequence[str]) -> str:
    """Shape and unit as the comment beside a line: `[V, cells, sample] mV`."""
    shape = f"[{', '.join(axes)}]" if axes else ""
    word = "" if type_.dtype == "float" else type_.dtype
    unit = type_.unit.name() if type_.dtype == "float" else ""
    return " ".join(part for part in (word, shape, "" if unit == "1" else unit) if part)


class Writer:
    """Writes one function of the program. Emitters ask it for shapes, alignment, literals and helpers."""

    def __init__(self, program: Program, function: Function, *, records: bool):
        self.program, self.dialect, self.bound = program, program.dialect, program.bound
        self.layout = program.bound.module.layout
        self.function = function
        # Whether a framework's autograd may record these lines (then nothing may be written in place).
        self.records = records
        self.names = Names(program.taken)
        self.block = self.top = Block(1)
        self.terms: dict[str, Term] = {}
        self.results: tuple[Value, ...] = ()
        # Where a value is wanted (the slot of a stack), by name; and which of them were written there.
        self.slots: dict[str, str] = {}
        self.filled: set[str] = set()
        self._symbols: dict[str, str] = {}
        self._literals: dict[tuple[str, str], Term] = {}

    # What emitters ask.

    def axes(self, type_: Type) -> tuple[str, ...]:
        return self.layout.sort(type_.names)

    def size(self, size: Size) -> str:
        """The size as Python text: a number, or an expression in the sizes that a call brings (the sample axis)."""
        bound = size.bind(self.bound.sizes)
        if bound.fixed is not None:
            return str(bound.fixed)
        terms: list[str] = []
        for monomial, factor in bound.terms:
            symbols = [self._symbol(symbol) for symbol in monomial]
            terms.append("*".join([str(factor)] * (factor != 1 or not symbols) + symbols))
        return " + ".join(terms)

    def fixed(self, size: Size) -> int | None:
        """The size as an integer, where it is known now."""
        return size.bind(self.bound.sizes).fixed

    def shape(self, type_: Type, axes: Sequence[str] | None = None) -> str:
        sizes = [self.size(type_.axis(name).size) for name in (self.axes(type_) if axes is None else axes)]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def place(self, term: Term, axis: str) -> int:
        """Where an axis lies in the array."""
        return term.axes.index(axis)

    def align(self, term: Term, axes: Sequence[str]) -> str:
        """The term with a place of size 1 for each axis it lacks, as far as broadcasting needs it.

        The view is made once, beside the term's definition: in a loop it costs nothing.
        """
        if term.literal:
            return term
        wanted = list(axes)
        while wanted and wanted[0] not in term.axes:
            wanted.pop(0)
        if tuple(wanted) == term.axes:
            return term
        return self.view(term, self.dialect.widen(str(term), [axis in term.axes for axis in wanted]), "_b")

    def view(self, term: Term, text: str, suffix: str) -> Term:
        """A cheap reading of a term (a view, a cast), assigned once in the block that defines the term."""
        known = term.block.views.get((str(term), text))
        if known is None:
            stem = re.sub(r"\W", "_", f"{term}{suffix}")
            name = self.names.fresh(stem)
            known = Term.of(name, term.type, term.axes, term.block)
            term.block.add(f"{name} = {text}")
            term.block.views[str(term), text] = known
        return known

    def array(self, term: Term) -> Term:
        """The term as an array, also where it is a literal."""
        if not term.literal:
            return term
        key = (str(term), term.type.dtype)
        known = self._literals.get(key)
        if known is None:
            name = self.names.fresh("number")
            known = Term.of(name, term.type, (), self.top)
            self.top.lines.insert(0, (1, f"{name} = {self.dialect.literal(term, term.type.dtype)}", ""))
            self._literals[key] = known
        return known

    def helper(self, name: str) -> str:
        """The name of a helper function; its source goes into the program."""
        self.program.helper(name)
        return name

    def aligned(self, *terms: Term) -> tuple[str, ...]:
        """The terms with their axes in one order; at least one of them an array."""
        axes = self.layout.sort(frozenset(axis for term in terms for axis in term.axes))
        if all(term.literal for term in terms):
            return (self.array(terms[0]), *terms[1:])
        return tuple(self.align(term, axes) for term in terms)

    def literals(self, sign: str, *terms: Term) -> Term | None:
        """The operation on numbers alone, written as a number; None where one of the terms is an array."""
        if not all(term.literal for term in terms):
            return None
        return Term.of(f"({f' {sign} '.join(terms)})", self.results[0].type, (), self.top, literal=True)

    def number(self, number: float | int | bool | str, type_: Type) -> Term:
        """A literal, written where it is read; or a text that Python reads as a number."""
        if not isinstance(number, str):
            number = spell(float(number) if type_.dtype == "float" else number)
        return Term.of(number, type_, (), self.top, literal=True)

    def same(self, term: Term, type_: Type, axes: tuple[str, ...] | None = None) -> Term:
        """The same array under another type: costs no line."""
        return Term.of(str(term), type_, self.axes(type_) if axes is None else axes, term.block, term.literal)

    # Frame.

    def term(self, value: Value) -> Term:
        return self.terms[value.name]

    def declare(self, value: Value, stem: str = "") -> Term:
        """A fresh Python name for a value, in the present block."""
        name = self.names.fresh(identifier(stem or value.name))
        term = Term.of(name, value.type, self.axes(value.type), self.block)
        self.terms[value.name] = term
        return term

    def bind(self, value: Value, term: Term) -> None:
        self.terms[value.name] = term

    def assign(self, value: Value, text: str) -> Term:
        term = self.declare(value)
        self.block.add(f"{term} = {text}", margin(value.type, term.axes))
        return term

    def line(self, line: Line) -> None:
        self.results = line.results
        written = self.dialect.emit(line.op, self, *(self.terms[value.name] for value in line.operands))
        if written is None:
            return
        if len(line.results) > 1:
            terms = [self.declare(value) for value in line.results]
            self.block.add(f"{', '.join(terms)} = {written}", "; ".join(margin(t.type, t.axes) for t in terms))
        elif isinstance(written, Term):
            self.bind(line.result, written)
        else:
            slot = self.slots.get(line.result.name)
            placed = self.dialect.into(written, slot) if slot is not None else None
            if placed is not None:
                self.filled.add(line.result.name)
            self.assign(line.result, placed or written)

    def lines(self, body: Iterable[Line]) -> None:
        for line in body:
            self.line(line)

    def write(self) -> str:
        inputs = [self.declare(value) for value in self.function.inputs]
        self.lines(self.function.body)
        outputs = [self.array(self.terms[value.name]) for value in self.function.outputs]
        signature = [f"    {term},{_pad(term)}# {margin(term.type, term.axes)}".rstrip(" #") for term in inputs]
        name = self.program.function_name(self.function.name)
        head = [f"def {name}(", *signature, "):"] if inputs else [f"def {name}():"]
        names = ", ".join(self.function.output_names)
        if names:
            head.append(f'    """-> {names}"""' if '"' not in names and "\\" not in names else "")
        prologue = [(1, f"{name} = {text}", "") for name, text in self._symbol_lines()]
        returned = ", ".join(outputs) + ("," if len(outputs) == 1 else "")
        body = [*prologue, *self.top.lines, (1, f"return {returned}" if outputs else "return ()", "")]
        return "\n".join([*filter(None, head), *(_render(*line) for line in body)])

    def _symbol(self, symbol: str) -> str:
        symbol, _, divisors = symbol.partition("//")
        if symbol not in self._symbols:
            self._symbols[symbol] = self.names.fresh(identifier(symbol) + "_size")
        return f"({self._symbols[symbol]}//{divisors})" if divisors else self._symbols[symbol]

    def _symbol_lines(self) -> Iterable[tuple[str, str]]:
        for symbol, name in self._symbols.items():
            for value in self.function.inputs:
                term = self.terms[value.name]
                found = [axis for axis in value.type.axes if axis.size == Size.symbol(symbol)]
                if found:
                    yield name, f"{term}.shape[{term.axes.index(found[0].name)}]"
                    break
            else:
                raise SpecError(
                    [
                        Diagnostic(
                            "CS803",
                            f"function `{self.function.name}` needs the size `{symbol}`, and none of its inputs has it",
                            help="give the size when the module is bound",
                        )
                    ]
                )


class Program:
    """The text of a whole module, and its execution."""

    def __init__(self, bound: Bound, dialect: Dialect, dtype: str, records: Callable[[str], bool] = lambda _: True):
        self.bound, self.dialect, self.dtype, self.records = bound, dialect, dtype, records
        self._helpers: dict[str, Any] = {}
        self._entering: list[str] = []
        self._function_names: dict[str, str] = {}
        self._names = Names(dialect.reserved)
        for name in dialect.helpers:
            self._names.take(name)
        self.taken = [*dialect.reserved, *dialect.helpers]
        for name in bound.module.functions:
            self.name_function(name)

    def name_function(self, name: str) -> None:
        """Gives a function its name in the program, also one that the backend adds to those of the module."""
        self._function_names[name] = self._names.fresh(identifier(name))
        self.taken.append(self._function_names[name])

    def function_name(self, name: str) -> str:
        return self._function_names[name]

    def helper(self, name: str) -> None:
        if name in self._helpers or name in self._entering:  # two may read each other
            return
        self._entering.append(name)
        value = self.dialect.helpers[name]
        for needed in _names_read(value):
            if needed in self.dialect.helpers:
                self.helper(needed)
        self._helpers[name] = value
        self._entering.pop()

    def text(self, prepare: Callable[[Function], Function] = lambda f: f, extra: Sequence[str] = ()) -> str:
        """The program. Raises SpecError CS801 for each operation without a lowering, all in one run."""
        module = self.bound.module
        require_lowerings(module.functions.values(), self.dialect)
        written: list[str] = []
        for name, function in module.functions.items():
            written.append(Writer(self, prepare(function), records=self.records(name)).write())
        helpers = [textwrap.dedent(inspect.getsource(value)).strip() for value in self._helpers.values()]
        constants = "\n".join(self.dialect.constants(self.dtype))
        used = "\n".join((constants, *helpers, *written, *extra))
        imports = [line for line in self.dialect.imports if _import_is_used(line, used)]
        head = f'"""{module.name or "module"}: written by CortexSpec for {self.dialect.name}, {self.dtype}.\n\n'
        head += (
            "Each function takes its inputs and gives its outputs in the order of FUNCTIONS, which has their public\n"
        )
        head += (
            "names. Arrays have their axes in the order of the margin; units are ms, mV, pA, nS, pF, GOhm, kHz, um.\n"
        )
        head += '"""\n'
        parts = [head + "\n".join(imports), constants, *helpers, *written, *extra, self._table()]
        return "\n\n\n".join(part for part in parts if part) + "\n"

    def _table(self) -> str:
        rows = ["FUNCTIONS = {"]
        for name, function in self.bound.module.functions.items():
            inputs, outputs = _quoted(value.name for value in function.inputs), _quoted(function.output_names)
            rows.append(f"    {_quoted([name])[1:-1]}: ({self._function_names[name]}, {inputs}, {outputs}),")
        return "\n".join([*rows, "}"])


def execute(text: str, title: str) -> dict[str, Any]:
    """Runs the text of a program under a file name of its own, so that a traceback shows its lines."""
    import hashlib

    filename = f"<{title} {hashlib.sha256(text.encode()).hexdigest()[:8]}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": title, "__file__": filename}
    exec(compile(text, filename, "exec"), namespace)
    return namespace


def require_lowerings(functions: Iterable[Function], dialect: Dialect) -> None:
    """Raises SpecError CS801 with one diagnostic for each operation that the backend cannot write."""
    missing: dict[type[Op], Line] = {}
    dispatch: Any = dialect.emit
    nothing = dispatch.dispatch(object)
    for line in (line for function in functions for line in all_lines(function)):
        kind = type(line.op)
        if dispatch.dispatch(kind) is nothing:
            lowerings: Mapping[str, str] = getattr(kind, "lowerings", {})
            if dialect.name in lowerings:
                importlib.import_module(lowerings[dialect.name])
        if dispatch.dispatch(kind) is nothing:
            missing.setdefault(kind, line)
    if missing:
        raise SpecError(
            [
                Diagnostic(
                    "CS801",
                    f"the backend `{dialect.name}` has no lowering for the operation `{kind.name}`",
                    line.span,
                    help=f"choose another backend, or register one: cortexspec_{dialect.name}.emit.emit.register({kind.__name__})",
                )
                for kind, line in missing.items()
            ]
        )


def all_lines(function: Function) -> Iterable[Line]:
    """The lines of a function and of the scan bodies inside it."""
    for line in function.body:
        yield line
        if isinstance(line.op, Scan):
            yield from all_lines(line.op.body)


def spell(number: float | int | bool) -> str:
    """A literal that Python reads back to the same number."""
    if isinstance(number, bool | np.bool_):
        return str(bool(number))
    if isinstance(number, int | np.integer):
        return str(int(number)) if number >= 0 else f"({int(number)})"
    if not np.isfinite(number):
        return f'float("{number}")'
    return repr(float(number)) if number >= 0 and not np.signbit(number) else f"({float(number)!r})"


def _quoted(names: Iterable[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def _render(depth: int, text: str, note: str) -> str:
    line = "    " * depth + text
    if not note:
        return line
    return f"{line}{' ' * max(2, MARGIN - len(line))}# {note}"


def _pad(term: str) -> str:
    return " " * max(2, MARGIN - len(term) - 5)


def _names_read(value: Any) -> Sequence[str]:
    """Global names that a helper's source reads."""
    import ast

    tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    return sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})


def _import_is_used(line: str, text: str) -> bool:
    """`import a.b as c`, `from a import b`: whether c, a or b is read."""
    name = line.rpartition(" ")[2].partition(".")[0]
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


__all__ = ["OPS", "Dialect", "Program", "Term", "Writer", "all_lines", "execute", "identifier", "margin", "spell"]


def fill_inputs(
    bound: Bound, function: str, missing: Sequence[str], shapes: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs that a call left out, from their declared defaults. `shapes` are those of the inputs that are given.

    Raises SpecError CS805 for an input without a default.
    """
    defaults = {entry.value.name: entry.default for entry in bound.module.inputs}
    values = {value.name: value for value in bound.module.function(function).inputs}
    without = [name for name in missing if defaults.get(name) is None]
    if without:
        raise SpecError(
            [
                Diagnostic(
                    "CS805",
                    f"`{function}` wants the input `{name}`",
                    help=f"give `{name}` with shape {margin(values[name].type, bound.module.layout.sort(values[name].type.names))}",
                )
                for name in without
            ]
        )
    sizes = dict(bound.sizes)
    for name, shape in shapes.items():
        type_ = values[name].type
        for axis, size in zip(bound.module.layout.sort(type_.names), shape, strict=False):
            for symbol in type_.axis(axis).size.symbols - sizes.keys():
                if type_.axis(axis).size == Size.symbol(symbol):
                    sizes[symbol] = size
    filled: dict[str, np.ndarray[Any, Any]] = {}
    for name in missing:
        type_ = values[name].type
        shape = [
            type_.axis(axis).size.evaluate({**dict.fromkeys(type_.axis(axis).size.symbols, 1), **sizes})
            for axis in bound.module.layout.sort(type_.names)
        ]
        filled[name] = np.full(shape, defaults[name])
    return filled


def places(axes: Sequence[str], at: Mapping[str, str]) -> str:
    """The inside of a subscript: `:` for each axis but those that `at` places; nothing after the last of those."""
    last = max(axes.index(name) for name in at)
    return ", ".join(str(at.get(name, ":")) for name in axes[: last + 1])


def einsum_text(operands: Sequence[Sequence[str]], result: Sequence[str]) -> str:
    """`tc,cs->ts`: a letter an axis, its first where that is free."""
    letters: dict[str, str] = {}
    for name in (name for axes in operands for name in axes):
        if name not in letters:
            wanted = name[0] if "a" <= name[0].lower() <= "z" else "a"
            free = [wanted, *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
            letters[name] = next(letter for letter in free if letter not in letters.values())
    return ",".join("".join(letters[n] for n in axes) for axes in operands) + "->" + "".join(letters[n] for n in result)


@dataclass(frozen=True)
class Adjoint:
    """How `f`, `f_forward` and `f_backward` fit together, as passes.differentiate names things.

    `kept`: where each residual input of the backward function is found, ("input", i) of `f` or ("result", i) of the forward
    function; `cotangents`: which output of `f` each cotangent belongs to; the backward function reads kept, then
    cotangents. `gradients`: for each input of `f` its place among the gradients, or None.
    """

    name: str
    outputs: int
    floats: tuple[bool, ...]
    kept: tuple[tuple[str, int], ...]
    cotangents: tuple[int, ...]
    gradients: tuple[int | None, ...]


def adjoint_of(module: Module, name: str) -> Adjoint | None:
    """The adjoint of a function, where the module has it."""
    functions = module.functions
    forward, backward = functions.get(f"{name}_forward"), functions.get(f"{name}_backward")
    if name not in functions or forward is None or backward is None:
        return None
    function = functions[name]
    inputs = [value.name for value in function.inputs]
    results = list(forward.output_names)
    kept: list[tuple[str, int]] = []
    cotangents: list[int] = []
    for value in backward.inputs:
        if value.name.startswith("d:"):
            cotangents.append(function.output_names.index(value.name[2:]))
        elif value.name in inputs:
            kept.append(("input", inputs.index(value.name)))
        else:
            kept.append(("result", results.index(value.name)))
    given = {output: place for place, output in enumerate(backward.output_names)}
    return Adjoint(
        name,
        len(function.outputs),
        tuple(value.type.dtype == "float" for value in function.outputs),
        tuple(kept),
        tuple(cotangents),
        tuple(given.get(f"grad:{path}") for path in inputs),
    )


@dataclass(frozen=True)
class Extent:
    """How many numbers the array of one population has: `places` without samples, and where the number of samples is read, as the axis
    `axis` of input `input` of the function."""

    places: int
    input: int
    axis: int


def extent_of_apart(bound: Bound, name: str) -> Extent | None:
    """That of the largest state of the second form of a function; None without such a form, or where sizes do not tell."""
    module = bound.module
    if name + APART not in module.functions:
        return None
    function = module.functions[name + APART]
    loops = [line.op for line in function.body if isinstance(line.op, Scan)]
    carries = [value.type for op in loops for value in op.body.inputs[op.consts : op.consts + op.carry]]
    samples = {axis.name for type_ in carries for axis in type_.axes if axis.role == "sample"}
    places = [_places(type_, bound.sizes) for type_ in carries]
    if len(samples) != 1 or None in places:
        return None
    for number, value in enumerate(function.inputs):
        if value.type.names & samples:
            (sample,) = samples
            axis = module.layout.sort(value.type.names).index(sample)
            return Extent(max(place for place in places if place is not None), number, axis)
    return None


def _places(type_: Type, sizes: Mapping[str, int]) -> int | None:
    found = [axis.size.bind(sizes).fixed for axis in type_.axes if axis.role != "sample"]
    return None if None in found else prod(size for size in found if size is not None)


def value_and_grad_of(module: Module, name: str, wrt: Sequence[str], output: str) -> str | None:
    """The module's own function for outputs and gradients, where it has one for all of `wrt`."""
    function = module.functions.get(f"{name}_value_and_grad")
    if function is None or output != "loss":
        return None
    return function.name if all(f"grad:{path}" in function.output_names for path in wrt) else None


def without_autograd(name: str) -> bool:
    """Whether these are lines of an adjoint, through which no framework's autograd runs."""
    return name.endswith(("_forward", "_backward", "_value_and_grad"))
