"""`cortexspec format`: the one way to lay out a spec."""

from typing import Annotated

import typer

from cortexspec.cli.options import AsJson, SpecFiles
from cortexspec.cli.output import finish, reporting, say, say_json


def format_files(
    files: SpecFiles,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; print what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Format .cortex files in place. Comments stay, the meaning stays.

    Examples:

      cortexspec format specs/cmc

      cortexspec format --check specs/*/model.cortex
    """
    from cortexspec.runtime.check import format_text

    changed: list[str] = []
    with reporting(as_json):
        for file in files:
            written = file.read_text(encoding="utf-8")
            formatted = format_text(written, str(file))
            if formatted == written:
                continue
            changed.append(str(file))
            if diff and not as_json:
                say(_difference(written, formatted, str(file)))
            if not check and not diff:
                file.write_text(formatted, encoding="utf-8")
    if as_json:
        say_json(ok=not (check and changed), changed=changed)
    elif not diff:
        for name in changed:
            say(f"{name}: {'would change' if check else 'formatted'}")
        if not changed:
            say("nothing to change")
    finish(not (check and changed))


def _difference(before: str, after: str, name: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (formatted)", lineterm="")
    return "\n".join(lines)
