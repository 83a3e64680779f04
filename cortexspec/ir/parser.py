"""Reads `.cxir` text back. What the text means is written in `printer`."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from types import MappingProxyType, UnionType
from typing import Any, Literal, NoReturn, Union, cast, get_args, get_origin, get_type_hints

from cortexspec.diagnostics import Diagnostic, Span, SpecError
from cortexspec.ir.module import IR_VERSION, Buffer, Function, Input, Layout, Line, Module, Param, State, Value
from cortexspec.ir.op import OPS, Op
from cortexspec.ir.printer import HEADER
from cortexspec.ir.size import Monomial, Size
from cortexspec.ir.types import Axis, Dtype, Role, Type
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, parse_unit

_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
_TOKEN = re.compile(
    rf"""
    (?P<blank>\s+|\#\ [^\n]*)
  | (?P<value>%(?:{_STRING}|[\w.'~:*#/-]*[\w.'~*#/-]))
  | (?P<text>{_STRING})
  | (?P<size><[^<>]*>)
  | (?P<unit>'[^']*')
  | (?P<number>[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|inf|nan)(?![\w.'~*\#/-]))
  | (?P<name>[\w.'~*\#/-]+)
  | (?P<mark>[()\[\]{{}},:=@^])
    """,
    re.VERBOSE,
)


def parse_module(text: str, source: str = "module.cxir") -> Module:
    """Raises SpecError CS603 for text that is no module, CS604 for one of another version of the IR."""
    return _Parser(text, source).module()


def parse_function(text: str, source: str = "function.cxir") -> Function:
    """Raises SpecError CS603."""
    return _Parser(text, source).lone_function()


class _Parser:
    def __init__(self, text: str, source: str):
        self.text, self.source = text, source
        self.tokens: list[tuple[str, str, int]] = []
        self.axes: dict[str, Axis] = {}
        self.values: dict[str, Value] = {}
        self.place = 0
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self.fail(f"`{text[at]}` is not part of the text form", at)
            kind = cast(str, match.lastgroup)
            if kind != "blank":
                self.tokens.append((kind, match.group(), at))
            at = match.end()
        self.tokens.append(("end", "the end of the text", len(text)))

    # Tokens

    def fail(self, message: str, at: int | None = None, code: str = "CS603", length: int = 1) -> NoReturn:
        if at is None:
            _, found, at = self.tokens[self.place]
            length = max(1, len(found)) if at < len(self.text) else 1
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        span = Span(self.source, line, column, line, column + length)
        raise SpecError([Diagnostic(code, message, span)], {self.source: self.text})

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    @property
    def here(self) -> str:
        return self.tokens[self.place][1]

    def next(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1][1]

    def take(self, wanted: str) -> None:
        if self.here != wanted or self.kind == "text":
            self.fail(f"expected `{wanted}`, found `{self.here}`")
        self.place += 1

    def skip(self, wanted: str) -> bool:
        if self.here == wanted and self.kind != "text":
            self.place += 1
            return True
        return False

    def name(self) -> str:
        if self.kind == "text":
            return str(json.loads(self.next()))
        if self.kind not in ("name", "number"):
            self.fail(f"expected a name, found `{self.here}`")
        return self.next()

    def string(self) -> str:
        if self.kind != "text":
            self.fail(f"expected a text in quotes, found `{self.here}`")
        return str(json.loads(self.next()))

    def integer(self) -> int:
        if self.kind != "number" or not re.fullmatch(r"[+-]?\d+", self.here):
            self.fail(f"expected a whole number, found `{self.here}`")
        return int(self.next())

    # Modules

    def module(self) -> Module:
        for word in HEADER.split():
            self.take(word)
        start = self.place
        version = self.integer()
        if version != IR_VERSION:
            self.place = start
            self.fail(f"this is version {version} of the IR, version {IR_VERSION} is read here", code="CS604")
        self.take("module")
        name, layout, sizes = self.name(), Layout(), dict[str, int]()
        entries: dict[str, list[Any]] = {"param": [], "buffer": [], "state": [], "input": []}
        functions: dict[str, Function] = {}
        while self.kind != "end":
            match self.here:
                case "layout":
                    self.place += 1
                    layout = Layout(tuple(self.names()))
                case "size":
                    self.place += 1
                    symbol = self.name()
                    self.take("=")
                    sizes[symbol] = self.integer()
                case "axis":
                    self.axis_definition()
                case "param" | "buffer" | "state" | "input":
                    word = self.here
                    entries[word].append(self.declaration())
                case "function":
                    function = self.function("function")
                    functions[function.name] = function
                case _:
                    self.fail(f"expected a declaration or a function, found `{self.here}`")
        return Module(
            name,
            tuple(entries["param"]),
            tuple(entries["buffer"]),
            tuple(entries["state"]),
            tuple(entries["input"]),
            MappingProxyType(functions),
            layout,
            MappingProxyType(sizes),
            version,
        )

    def lone_function(self) -> Function:
        while self.here == "axis":
            self.axis_definition()
        function = self.function("function")
        if self.kind != "end":
            self.fail(f"expected the end of the text, found `{self.here}`")
        return function

    def names(self) -> list[str]:
        self.take("(")
        names: list[str] = []
        while not self.skip(")"):
            names.append(self.name())
            if self.here != ")":
                self.take(",")
        return names

    def axis_definition(self) -> None:
        self.take("axis")
        name = self.name()
        self.take("=")
        size = self.size()
        role = self.role() if self.here in get_args(Role) else "plain"
        self.axes[name] = Axis(name, size, role)

    def declaration(self) -> Param | Buffer | State | Input:
        kinds: dict[str, Any] = {"param": Param, "buffer": Buffer, "state": State, "input": Input}
        kind = kinds[self.next()]
        value = self.typed()
        return self.build(kind, {"value": value, **self.attributes()})

    # Functions

    def function(self, word: str) -> Function:
        self.take(word)
        if word == "function":
            self.values = {}
        outer, self.values = self.values, {}
        name = self.name()
        self.take("(")
        inputs: list[Value] = []
        while not self.skip(")"):
            inputs.append(self.defined())
            if self.here != ")":
                self.take(",")
        self.take("{")
        lines: list[Line] = []
        while not self.skip("return"):
            lines.append(self.line())
        outputs: list[Value] = []
        names: list[str] = []
        while not self.skip("}"):
            value = self.value()
            outputs.append(value)
            names.append(self.string() if self.skip("as") else value.name)
            if self.here != "}":
                self.take(",")
        self.values = outer
        return Function(name, tuple(inputs), tuple(lines), tuple(outputs), tuple(names))

    def line(self) -> Line:
        start = self.place
        results: list[Value] = []
        while not results or self.skip(","):
            results.append(self.typed())
        self.take("=")
        at = self.place
        op_name = self.name()
        self.take("(")
        operands: list[Value] = []
        while not self.skip(")"):
            operands.append(self.value())
            if self.here != ")":
                self.take(",")
        attributes = self.attributes()
        if op_name not in OPS:
            self.place = at
            self.fail(f"no operation is called `{op_name}`")
        while self.here == "body":
            attributes["body"] = self.function("body")
        end = self.place
        self.place = at
        op = cast(Op, self.build(OPS[op_name], attributes))
        self.place = start
        for value in results:
            self.define(value)
        self.place = end
        return Line(tuple(results), op, tuple(operands))

    def build(self, kind: Any, attributes: dict[str, Any]) -> Any:
        wanted = {field.name: field for field in fields(kind)}
        if unknown := [name for name in attributes if name not in wanted]:
            self.fail(f"`{self.here}` has no attribute `{unknown[0]}`")
        for field in wanted.values():
            if field.default is MISSING and field.default_factory is MISSING and field.name not in attributes:
                self.fail(f"`{self.here}` lacks the attribute `{field.name}`")
        hints = get_type_hints(kind)
        for name, value in attributes.items():
            if not _fits(value, hints[name]):
                self.fail(f"the attribute `{name}` of `{self.here}` is of another type: {wanted[name].type}")
        return kind(**attributes)

    # Values

    def value_name(self) -> str:
        if self.kind != "value":
            self.fail(f"expected a value such as %x, found `{self.here}`")
        text = self.next()[1:]
        return str(json.loads(text)) if text.startswith('"') else text

    def value(self) -> Value:
        place = self.place
        name = self.value_name()
        if name not in self.values:
            self.place = place
            self.fail(f"%{name} is not assigned above")
        return self.values[name]

    def typed(self) -> Value:
        name = self.value_name()
        self.take(":")
        return Value(name, self.type())

    def defined(self) -> Value:
        place = self.place
        value = self.typed()
        end, self.place = self.place, place
        self.define(value)
        self.place = end
        return value

    def define(self, value: Value) -> None:
        if value.name in self.values:
            self.fail(f"%{value.name} is assigned twice")
        self.values[value.name] = value

    def type(self) -> Type:
        start = self.place
        if self.here not in get_args(Dtype):
            self.fail(f"expected one of {', '.join(get_args(Dtype))}, found `{self.here}`")
        dtype = cast(Dtype, self.next())
        axes: list[Axis] = []
        if self.skip("["):
            while not self.skip("]"):
                axes.append(self.axis())
                if self.here != "]":
                    self.take(",")
        if len({axis.name for axis in axes}) != len(axes):
            self.place = start
            self.fail("an axis occurs twice in a type")
        return Type(tuple(axes), dtype, self.bare_unit())

    def bare_unit(self) -> Unit:
        """What stands one blank behind a type: tokens without blanks between them, since a unit holds marks."""
        start, text, depth = self.place, "", 0
        _, before, at = self.tokens[start - 1]
        first = at + len(before) + 1
        if self.text[first - 1 : first] != " ":
            return DIMENSIONLESS
        while self.tokens[self.place][2] == first + len(text):
            if not (self.kind in ("name", "number") or self.here in ("^", "(") or (self.here == ")" and depth)):
                break
            depth += {"(": 1, ")": -1}.get(self.here, 0)
            text += self.next()
        return self.unit_of(text, start) if text else DIMENSIONLESS

    def unit_of(self, text: str, start: int) -> Unit:
        try:
            return DIMENSIONLESS if text == "1" else parse_unit(text)[0]
        except UnitError as error:
            self.place = start
            self.fail(str(error))

    def axis(self) -> Axis:
        place = self.place
        name = self.name()
        if self.skip(":"):
            size = self.size()
            return Axis(name, size, self.role() if self.skip(":") else "plain")
        if name not in self.axes:
            self.place = place
            self.fail(f"the axis {name} is not defined above")
        return self.axes[name]

    def role(self) -> Role:
        if self.here not in get_args(Role):
            self.fail(f"expected one of {', '.join(get_args(Role))}, found `{self.here}`")
        return cast(Role, self.next())

    def size(self) -> Size:
        if self.kind != "size":
            self.fail(f"expected a size such as <4>, found `{self.here}`")
        total = Size.of(0)
        for term in self.next()[1:-1].split(" + "):
            factor, monomial = 1, list[str]()
            for part in term.split("*"):
                if re.fullmatch(r"-?\d+", part):
                    factor *= int(part)
                else:
                    monomial.append(part)
            symbols: Monomial = tuple(sorted(monomial))
            total = total + Size(((symbols, factor),) if factor else ())
        return total

    # Attributes

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if not self.skip("{"):
            return found
        while not self.skip("}"):
            name = self.name()
            self.take("=")
            found[name] = self.attribute()
            if self.here != "}":
                self.take(",")
        return found

    def attribute(self) -> Any:
        match self.kind:
            case "text":
                return self.string()
            case "size":
                return self.size()
            case "unit":
                start = self.place
                return self.unit_of(self.next()[1:-1], start)
            case "number":
                text = self.next()
                return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
            case _:
                return self.attribute_word()

    def attribute_word(self) -> Any:
        words = {"true": True, "false": False, "none": None}
        if self.kind == "name" and self.here in words:
            return words[self.next()]
        if self.skip("@"):
            return self.axis()
        if self.kind == "name" and self.here == "type":
            self.place += 1
            self.take("(")
            type_ = self.type()
            self.take(")")
            return type_
        self.take("(")
        entries: list[Any] = []
        while not self.skip(")"):
            entries.append(self.attribute())
            if self.here != ")":
                self.take(",")
        return tuple(entries)


def _fits(value: Any, hint: Any) -> bool:
    """Whether an attribute's value is of the type that the field is annotated with."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inside)
    if origin is Literal:
        return value in inside
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        entries = cast(tuple[Any, ...], value)
        if inside[-1:] == (Ellipsis,):
            return all(_fits(entry, inside[0]) for entry in entries)
        return len(entries) == len(inside) and all(map(_fits, entries, inside))
    if hint in (int, float):  # a whole number is a float too, as Python's own types have it; a truth value is neither
        return type(value) is hint or (hint is float and type(value) is int)
    return isinstance(value, hint)
