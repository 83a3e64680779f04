"""What `use NAME` brings: items and entries of installed plugins, and a word about those that nobody installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cortexspec.analysis.library import Brought, Library
from cortexspec.analysis.report import Report
from cortexspec.diagnostics import Note, Span
from cortexspec.schema.spec import Spec, Template, Use


def plugin_items(plugins: Sequence[Brought], report: Report) -> dict[str, Template]:
    """The neurons, synapses, functions and circuits by name; CS902 where two plugins bring one."""
    found: dict[str, Template] = {}
    makers: dict[str, str] = {}
    for plugin in plugins:
        for item in plugin.items:
            if item.name in found:
                first = found[item.name].span
                notes = [Note("the first one", first)] if first is not None else []
                message = (
                    f"the {item.kind} `{item.name}` is brought by both `{makers[item.name]}` and `{plugin.plugin}`"
                )
                report.add("CS902", message, item.span, help=_LEAVE_OUT, notes=notes)
            else:
                found[item.name], makers[item.name] = item, plugin.plugin
    return found


def entries_of(plugins: Sequence[Brought], library: Library, report: Report) -> tuple[Any, ...]:
    """The entries of all; CS902 where two plugins bring one name, or one brings a name that is built in."""
    taken = {
        name: "CortexSpec itself"
        for known in (library.functions, library.distributions, library.parts, library.constraints, library.rules)
        for name in known
    }
    kept: list[Any] = []
    for plugin in plugins:
        for entry in plugin.entries:
            if entry.name in taken:
                message = f"`{entry.name}` is brought by both {taken[entry.name]} and `{plugin.plugin}`"
                report.add("CS902", message, help=_LEAVE_OUT)
            else:
                taken[entry.name] = f"`{plugin.plugin}`"
                kept.append(entry)
    return tuple(kept)


# What tells a name that needs a plugin from a `use` of it, also in a spec that has no text and so no spans.
NEEDED = "needs a plugin"
_LEAVE_OUT = "leave out the `use` of one of them"


def say_what_is_missing(spec: Spec, missing: Sequence[str], report: Report) -> None:
    """Warns at the `use` of a plugin that is not installed."""
    for item in spec.items:
        names = [name for name in item.names if name in missing] if isinstance(item, Use) else []
        if len(names) == 1:
            message = f"the plugin `{names[0]}` is not installed: what it brings is not judged"
            report.warn("CS904", message, item.span, help=f"install it, or leave out `use {names[0]}`")
        elif names:
            listed = ", ".join(f"`{name}`" for name in names)
            message = f"the plugins {listed} are not installed: what they bring is not judged"
            report.warn("CS904", message, item.span, help="install them, or leave them out of `use`")


def needs_a_plugin(name: str, span: Span | None, library: Library, report: Report) -> None:
    """Warns at a name that only a plugin which is not installed could bring. To compile it is an error."""
    which = " or ".join(f"`{one}`" for one in library.missing_plugins)
    message = f"`{name}` is not known here: a plugin that is not installed must bring it"
    report.warn("CS904", message, span, label=NEEDED, help=f"install the distribution that provides the plugin {which}")


def names_that_need_a_plugin(report: Report) -> dict[str, Span | None]:
    """What `needs_a_plugin` was told so far, with the first place of each name."""
    found: dict[str, Span | None] = {}
    for one in report.diagnostics:
        if one.code == "CS904" and one.label == NEEDED:
            found.setdefault(one.message.split("`")[1], one.span)
    return found
