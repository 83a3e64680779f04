"""`cortexspec plugins`: which backends and plugins are installed."""

from typing import Annotated

import typer

from cortexspec.cli.options import AsJson
from cortexspec.cli.output import finish, reporting, say, say_json, show_diagnostics
from cortexspec.diagnostics import Diagnostic, SpecError


def plugins(
    load: Annotated[
        bool, typer.Option("--load", help="Import each of them, to see whether it works; exit 1 where one does not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the installed backends and plugins.

    They are found by entry points in the groups cortexspec.backends and cortexspec.plugins. Listing imports none of them.

    Examples:

      cortexspec plugins

      cortexspec plugins --load
    """
    from cortexspec.runtime import registry

    with reporting(as_json):
        entries = [*registry.installed(registry.BACKENDS), *registry.installed(registry.PLUGINS)]
    loaders = {"backend": registry.load_backend, "plugin": registry.load_plugin}
    broken: dict[tuple[str, str], Diagnostic] = {}
    for entry in entries if load else ():
        try:
            loaders[entry.kind](entry.name)
        except SpecError as error:
            broken[entry.kind, entry.name] = error.diagnostics[0]
    if as_json:
        rows = [
            {
                "kind": entry.kind,
                "name": entry.name,
                "distribution": entry.distribution,
                "version": entry.version,
                "entry_point": entry.target,
                "works": ((entry.kind, entry.name) not in broken) if load else None,
            }
            for entry in entries
        ]
        say_json(ok=not broken, installed=rows)
    else:
        show_diagnostics(broken.values(), {})
        width = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            state = ("  broken" if (entry.kind, entry.name) in broken else "  works") if load else ""
            say(f"{entry.kind:<7}  {entry.name:<{width}}  {entry.distribution} {entry.version}{state}")
    finish(not broken)
