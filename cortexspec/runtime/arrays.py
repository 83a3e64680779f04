"""Arrays in files: inputs that come from one, results that go to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.runtime.files import write_whole

if TYPE_CHECKING:
    import xarray

_FORMATS = (".nc", ".npz", ".csv")


def read_value(text: str) -> Any:
    """What a text names as an input: the array of an .npy file, the number it spells, or itself ("10 Hz").

    Raises: SpecError CS901 where the file is not there, CS911 where it is no array. Pickled objects are refused.
    """
    if not text.endswith(".npy"):
        try:
            return float(text)
        except ValueError:
            return text
    try:
        return np.load(text, allow_pickle=False)
    except FileNotFoundError:
        raise SpecError([Diagnostic("CS901", f"there is no file `{text}`")]) from None
    except (OSError, ValueError, EOFError) as error:
        raise SpecError([Diagnostic("CS911", f"`{text}` is not a NumPy array: {error}")]) from None


def check_format(path: Path) -> None:
    """Raises: SpecError CS918 for a file whose ending names no format; better before a long run than after it."""
    if path.suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise SpecError([Diagnostic("CS918", f"`{path}` ends in no format for results", help=f"end it in {known}")])


def write_result(result: xarray.Dataset, path: str | Path) -> None:
    """Writes a run to .nc (NetCDF, with units and provenance), .npz or .csv (one row a time).

    Raises: SpecError CS918 for another ending, CS919 where the file cannot be written.
    """
    path = Path(path)
    check_format(path)
    match path.suffix:
        case ".nc":
            content: bytes = bytes(cast(Any, result).to_netcdf(engine="scipy"))
        case ".npz":
            content = _npz(result)
        case _:
            content = cast(Any, result).to_dataframe().to_csv().encode()
    write_whole(path, content)


def _npz(result: xarray.Dataset) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    arrays: dict[str, Any] = {str(name): variable.values for name, variable in result.variables.items()}
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
