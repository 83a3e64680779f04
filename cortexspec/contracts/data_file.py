"""What a file format signs: which files it reads, the arrays in them by name, each with its unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class NamedArray:
    """`unit` is a unit of the language ("um", "mV/ms", "1" for a pure number), in which the numbers of `array` are.

    None: the file does not say, and the declaration in the spec does. `note` says what the array is, for messages and
    for people: how it was measured, which way round it is. `source` is where the file says that its data are from; each
    result that reads it repeats it, so that nobody takes synthetic data for measured ones.
    """

    array: Array
    unit: str | None = None
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class DataFileEntry:
    """A format of the files that `data("file", "key")` reads. Those of plugins are asked before the plain ones.

    `reads(path)`: whether a file, which exists, is of this format; cheap, and never raises. `names(path)`: the names that
    `read` takes, in the order in which a user should see them; they may be computed from what is stored. `read(path, name)`:
    one array of numbers or truth values; a matrix is [target, source]. `names` and `read` raise ValueError or OSError for a
    file that is cut short or malformed; `read` raises KeyError for a name that is not there.
    """

    name: str
    reads: Callable[[Path], bool]
    names: Callable[[Path], tuple[str, ...]]
    read: Callable[[Path, str], NamedArray]
    doc: str = ""


class DataReader(Protocol):
    """What analysis asks for the arrays that a spec names."""

    def read(self, file: str, key: str) -> NamedArray:
        """Raises: RuleError CS901 where there is no such file in reach, CS906 where it has no such array, CS911 where it is malformed."""
        ...
