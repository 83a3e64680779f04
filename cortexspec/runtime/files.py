"""Files that are written whole or not at all, and arrays in files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that a crash leaves the old one or the new one, never a part.

    Raises: SpecError CS919 where it cannot be written.
    """
    try:
        _write_whole(path, content)
    except OSError as error:
        why = error.strerror or error
        raise SpecError([Diagnostic("CS919", f"`{path}` cannot be written: {why}")]) from error


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.chmod(temporary, 0o666 & ~_mask())  # mkstemp makes it the owner's alone; a result is like any other file
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mask() -> int:
    """The permissions that this process takes away from new files; reading it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """The metadata and the arrays of a file. Raises: OSError, or ValueError for a file that is cut short or of another kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with cast(Any, safe_open)(str(path), framework="numpy") as file:
            names: list[str] = list(file.keys())
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(str(error)) from None
