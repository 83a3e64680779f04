"""Arrays of data files in expressions: judged when the spec is, so that what does not fit is told before anything runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from cortexspec.analysis.model import DataArray
from cortexspec.contracts.data_file import Array, DataReader, NamedArray
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.units import DIMENSIONLESS, UnitError, parse_unit

_SIDES = {1: ("entries",), 2: ("rows", "columns")}


def is_data(node: tree.Expression | None) -> bool:
    return isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.name == "data"


@dataclass
class DataRead:
    """What one circuit reads of files: `arrays` by the name of their buffer, `data.FILE.KEY`. Without a reader nothing is judged."""

    reader: DataReader | None
    arrays: dict[str, DataArray] = field(default_factory=dict[str, DataArray])

    def find(self, file: str, key: str, declared: str = "") -> str:
        """The name of the array's buffer. `declared`: the unit that its declaration writes.

        Raises: RuleError CS901, CS906, CS911 as the reader does; CS907 for what is no array of finite numbers, CS401 for another
        unit than the declared one.
        """
        assert self.reader is not None
        named = self.reader.read(file, key)
        array = _finite(named, file, key)
        unit_text = _unit_text(named, file, key, declared)
        unit, scale = parse_unit(unit_text)
        stem = ".".join(("data", *(re.sub(r"\W+", "_", text) for text in (_stem(file), key))))
        name, number = stem, 1
        while name in self.arrays and (self.arrays[name].file, self.arrays[name].unit_text) != (file, unit_text):
            number += 1
            name = f"{stem}_{number}"
        axes = tuple(
            Axis(f"{name}.{side}", Size.of(size)) for side, size in zip(_sides(array), array.shape, strict=True)
        )
        numbers = array * scale if scale != 1 else array
        digest = sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()[:12]
        self.arrays[name] = DataArray(
            file,
            key,
            numbers,
            Type(axes, "float", unit),
            tuple(axis.name for axis in axes),
            unit_text,
            digest,
            named.source,
        )
        return name

    def explained(self, diagnostic: Diagnostic) -> Diagnostic:
        """A message that speaks of the axis of an array says which array it is."""
        said = [
            f"`{name}` is `{one.key}` of `{one.file}`, {_shape(one.array)}"
            for name, one in self.arrays.items()
            if f"`{name}." in diagnostic.message
        ]
        if not said:
            return diagnostic
        return replace(diagnostic, help="; ".join(filter(None, [*said, diagnostic.help])))


def texts_of(call: tree.Call) -> tuple[str, str]:
    """The file and the key of `data("file", "key")`. Raises: RuleError CS306."""
    given: dict[str, str] = {}
    for place, argument in enumerate(call.arguments):
        name = argument.name or ("file", "key", "")[min(place, 2)]
        if name not in ("file", "key") or name in given or not isinstance(argument.value, tree.Text):
            raise RuleError(
                "CS306", '`data` takes two texts, a file and the name of an array in it: `data("a.npz", "w")`'
            )
        given[name] = argument.value.value
    if len(given) != 2:
        raise RuleError("CS306", f'`data` wants a `{"key" if "file" in given else "file"}`: `data("a.npz", "w")`')
    return given["file"], given["key"]


def _sides(array: Array) -> tuple[str, ...]:
    return _SIDES.get(array.ndim) or tuple(f"axis_{place}" for place in range(array.ndim))


def _shape(array: Array) -> str:
    sides = [f"{size} {side}" for side, size in zip(_sides(array), array.shape, strict=True)]
    return " and ".join(sides) or "one number"


def _stem(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0]


def _finite(named: NamedArray, file: str, key: str) -> Array:
    """The numbers. Raises: RuleError CS907 with the place of the first that is none."""
    if named.array.dtype.kind not in "biuf":
        raise RuleError("CS907", f"`{key}` of `{file}` is no array of numbers", help=f"it holds {named.array.dtype}")
    array = named.array.astype(np.float64)
    wrong = np.argwhere(~np.isfinite(array))
    if not len(wrong):
        return array
    first = tuple(int(i) for i in wrong[0])
    sides = ("row", "column") if array.ndim == 2 else _sides(array)
    place = ", ".join(f"{side} {i}" for side, i in zip(sides, first, strict=True))
    others = f", and {len(wrong) - 1} more such values" if len(wrong) > 1 else ""
    message = f"`{key}` of `{file}` is {array[first]} at {place or 'its one place'}{others}"
    raise RuleError("CS907", message, help="counted from 0; fill the gaps, or cut them out")


def _unit_text(named: NamedArray, file: str, key: str, declared: str) -> str:
    """The unit of the numbers: what the file says, else the declaration's. Raises: RuleError CS401, CS911."""
    wanted = "" if declared in ("real", "int", "bool", "text") else declared
    if named.unit is None:
        return wanted or "1"
    try:
        found, _ = parse_unit(named.unit)
    except UnitError as error:
        raise RuleError("CS911", f"`{key}` of `{file}` has a unit that is none: {error}") from None
    unit = parse_unit(wanted or "1")[0]
    if declared and found != unit:
        said = "a pure number" if found == DIMENSIONLESS else f"in {named.unit}"
        message = f"`{key}` of `{file}` is {said}, but it is declared in {wanted or '1'}"
        label = f"expected {unit.name()}, found {found.name()}"
        raise RuleError("CS401", message, label=label, help=named.note)
    return named.unit


def reads_data(node: tree.Expression | None) -> bool:
    """Whether an expression reads an array of a data file."""
    match node:
        case None:
            return False
        case tree.Call(function=tree.Name("data")):
            return True
        case tree.Call(arguments=arguments):
            return any(reads_data(one.value) for one in arguments)
        case _:
            return any(reads_data(child) for child in children(node))
