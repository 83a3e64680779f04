"""The only reader of entry points: which backends and plugins are installed. Listing imports none, loading imports one."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, cast

from cortexspec.contracts.backend import Backend
from cortexspec.contracts.plugin import Plugin
from cortexspec.diagnostics import Diagnostic, SpecError

BACKENDS = "cortexspec.backends"
PLUGINS = "cortexspec.plugins"
_KIND = {BACKENDS: "backend", PLUGINS: "plugin"}


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point: its name, what it points at, and the distribution that brought it."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str


def installed(group: str) -> tuple[Installed, ...]:
    """What is advertised, by name. Whether it can be imported, only loading it tells.

    Raises: SpecError CS902 where two distributions advertise one name.
    """
    return tuple(_describe(point, group) for _, point in sorted(_available(group).items()))


def load_backend(name: str) -> Backend:
    """A backend, made. Raises: SpecError CS802 where none has the name, CS903 where it does not import."""
    return cast(Backend, _load(BACKENDS, name)())


def require_backend(name: str) -> None:
    """Imports nothing. Raises: SpecError CS802 where no backend has the name."""
    if name not in _available(BACKENDS):
        raise SpecError([_missing(BACKENDS, name, tuple(_available(BACKENDS)))])


def first_backend(names: Sequence[str]) -> str:
    """The first of these that is installed; imports nothing. The interpreter always is."""
    return next((name for name in names if name in _available(BACKENDS)), "interpreter")


def load_plugin(name: str) -> Plugin:
    """A plugin. Raises: SpecError CS904 where none has the name, CS903 where it does not import."""
    plugin = _load(PLUGINS, name)
    return plugin if isinstance(plugin, Plugin) else cast(Plugin, plugin())


def plugin_names() -> tuple[str, ...]:
    return tuple(sorted(_available(PLUGINS)))


@cache
def versions(backend: str) -> dict[str, str]:
    """Of all that a number comes from: Python, this package, NumPy, the backend and what it stands on. Imports nothing."""
    names = ["cortexspec", "numpy"]
    point = _available(BACKENDS).get(backend)
    if point is not None and point.dist is not None and point.dist.name != "cortexspec":
        needed = (re.match(r"[\w.-]+", text) for text in point.dist.requires or () if "extra ==" not in text)
        names += [point.dist.name, *(found.group() for found in needed if found)]
    known = {name: _version(name) for name in dict.fromkeys(names)}
    return {"python": platform.python_version(), **{name: text for name, text in known.items() if text}}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


@cache
def _available(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        known = found.setdefault(point.name, point)
        # The same distribution may be seen twice, once installed and once on the path: that is no clash.
        if known.value != point.value:
            raise SpecError([_clash(group, known, point)])
    return found


def _clash(group: str, one: EntryPoint, other: EntryPoint) -> Diagnostic:
    makers = f"`{_distribution(one)}` and `{_distribution(other)}`"
    return Diagnostic(
        "CS902",
        f"the {_KIND[group]} `{one.name}` is provided by both {makers}",
        help="uninstall one of the two",
    )


@cache
def _load(group: str, name: str) -> Any:
    points = _available(group)
    if name not in points:
        raise SpecError([_missing(group, name, tuple(points))])
    try:
        return points[name].load()
    except (ImportError, AttributeError, OSError) as error:  # OSError: a framework whose own library is missing
        raise SpecError([_broken(group, points[name], error)]) from error


def _missing(group: str, name: str, known: tuple[str, ...]) -> Diagnostic:
    kind = _KIND[group]
    near = get_close_matches(name, known, 1)
    here = ", ".join(f"`{other}`" for other in sorted(known)) or "none"
    if near:
        help = f"did you mean `{near[0]}`?"
    elif name in ("torch", "jax"):
        help = f"pip install cortexspec-{name}"
    else:
        help = f"install the distribution that provides it, or use one of: {here}"
    code = "CS802" if group == BACKENDS else "CS904"
    message = f"no installed distribution provides a {kind} `{name}`"
    return Diagnostic(code, message, label=f"installed: {here}", help=help)


def _broken(group: str, point: EntryPoint, error: Exception) -> Diagnostic:
    module = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    return Diagnostic(
        "CS903",
        f"the {_KIND[group]} `{point.name}` of `{_distribution(point)}` cannot be imported: {error}",
        help=f"pip install {module.partition('.')[0]}" if module else f"reinstall `{_distribution(point)}`",
    )


def _describe(point: EntryPoint, group: str) -> Installed:
    version = point.dist.version if point.dist else ""
    return Installed(_KIND[group], point.name, point.value, _distribution(point), version)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
