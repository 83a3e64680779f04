"""The IDX format of MNIST: a magic number with dtype and rank, sizes as big-endian integers, then the bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from cortexspec.contracts.dataset import Array
from cortexspec.diagnostics import Diagnostic, SpecError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> Array:
    """An array of unsigned bytes from an IDX file, gzipped or not.

    Raises: SpecError CS901 where there is no such file, CS911 where it is no IDX file of bytes or is cut short.
    Source: the format's description on the MNIST page (LeCun, Cortes, Burges).
    """
    try:
        raw = path.read_bytes()
    except OSError:
        raise missing(path) from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise malformed(path, f"the gzip stream is broken ({error})") from None
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise malformed(path, "it does not begin with an IDX magic number")
    if raw[2] != _UNSIGNED_BYTE:
        raise malformed(path, f"it holds elements of kind 0x{raw[2]:02x}, unsigned bytes (0x08) are wanted")
    rank = raw[3]
    if len(raw) < 4 + 4 * rank:
        raise malformed(path, "it ends within its header")
    sizes = np.frombuffer(raw, ">u4", count=rank, offset=4).astype(int)
    expected = 4 + 4 * rank + math.prod(sizes.tolist())
    if len(raw) != expected:
        raise malformed(path, f"its header promises {expected:,} bytes, it has {len(raw):,}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def missing(path: Path, help: str = "") -> SpecError:
    """The error for a file that is not there."""
    return SpecError([Diagnostic("CS901", f"data file `{path}` is not there", help=help)])


def malformed(path: Path, why: str) -> SpecError:
    """The error for a file that is not what it should be."""
    return SpecError([Diagnostic("CS911", f"data file `{path}` cannot be read: {why}")])
