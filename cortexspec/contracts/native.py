"""Compiled kernels: C++ that is compiled once, when it is first wanted, and kept in the user's cache folder.

A compiler is optional. Where there is none, or it fails, `library` gives None and a program takes its own form. `CORTEXSPEC_NATIVE=0` has
the same effect; `CXX` names another compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared")
_FUSED = {False: "-ffp-contract=off", True: "-ffp-contract=fast"}
_SOURCES = Path(__file__).parent


def compiler() -> str | None:
    """The path of a C++ compiler."""
    if os.environ.get("CORTEXSPEC_NATIVE", "1") == "0":
        return None
    given = os.environ.get("CXX")
    found = (shutil.which(name) for name in ((given,) if given else ("c++", "g++", "clang++")))
    return next((path for path in found if path is not None), None)


def cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".cache") / "cortexspec" / "native"


@lru_cache
def library(name: str, include: Sequence[str] = (), fused: bool = False) -> ctypes.CDLL | None:
    """The library compiled from `NAME.cpp` beside this file; `include` has folders of headers that it wants. None without a compiler.

    Without fused multiply-add its sums are those of the other engines.
    """
    command = compiler()
    if command is None:
        return None
    sources = [_SOURCES / f"{name}.cpp", *sorted(_SOURCES.glob("*.hpp"))]
    flags = (*_FLAGS, _FUSED[fused])
    told = [path.read_bytes() for path in sources]
    key = hashlib.sha256(b"\0".join((*told, repr((command, flags, tuple(include), _machine())).encode()))).hexdigest()
    path = cache_folder() / f"{name}-{key[:20]}.so"
    if not path.exists() and not _compiled((command, *flags), sources[0], include, path):
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _machine() -> str:
    """What `-march=native` means here, as far as it can be told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}"


def _compiled(command: Sequence[str], source: Path, include: Sequence[str], path: Path) -> bool:
    """Whether the library is there now. It is moved into place when it is whole, so that processes may compile at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            arguments = [*command, *(f"-I{one}" for one in include), str(source), "-o", str(made)]
            subprocess.run(arguments, check=True, capture_output=True, timeout=300)
            made.replace(path)
    except (OSError, subprocess.SubprocessError):
        return False
    return True
