"""`cortexspec diff`: what changed in meaning between two specs."""

from pathlib import Path
from typing import Annotated

import typer

from cortexspec.cli.options import AsJson, spec_file
from cortexspec.cli.output import reporting, say, say_json


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", callback=spec_file, help="The older spec, or its folder.")],
    after: Annotated[Path, typer.Argument(metavar="B", callback=spec_file, help="The newer spec, or its folder.")],
    as_json: AsJson = False,
) -> None:
    """Tell what changed in meaning between two specs.

    Both are elaborated, so another order, other comments or another way to write a quantity are no change, while a new default
    shows at every population that it reaches.

    Example:

      cortexspec diff old/model.cortex new/model.cortex
    """
    from cortexspec.runtime.check import diff_files

    with reporting(as_json):
        changes = diff_files(before, after)
    if as_json:
        say_json(
            ok=True,
            same=not changes,
            changes=[
                {
                    "where": where,
                    "kind": change.kind,
                    "what": change.what,
                    "field": change.field,
                    "before": change.before,
                    "after": change.after,
                }
                for where, found in changes.items()
                for change in found
            ],
        )
        return
    if not changes:
        say("no change in meaning")
    for where, found in changes.items():
        say(where)
        for change in found:
            say(f"  {change}")
