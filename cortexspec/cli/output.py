"""What every command does alike: results to stdout, diagnostics to stderr, one JSON document with `--json`, exit codes.

Exit codes: 0 fine, 1 the spec is wrong or a run broke, 2 wrong use of the command line.
"""

import json
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from cortexspec.diagnostics import Diagnostic, SpecError

SYNTAX_SHOWN = 20  # of one file: what follows the first ones is mostly their consequence, or the file is no spec
BROKEN = 1
WRONG_USE = 2


def say(text: str = "") -> None:
    """A result, to stdout."""
    typer.echo(text)


def say_json(**fields: Any) -> None:
    """The command's one JSON document, to stdout. `ok` says what the exit code says."""
    typer.echo(json.dumps(fields, indent=2, ensure_ascii=False, default=_plain))


def show_diagnostics(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> None:
    """To stderr, with the count at the end; of a file's mistakes of syntax the first SYNTAX_SHOWN."""
    from cortexspec.diagnostics.render_text import count, print_diagnostics

    found = list(dict.fromkeys(diagnostics))
    of_file = Counter[str]()
    shown: list[Diagnostic] = []
    for one in found:
        file = one.span.source if one.span is not None else ""
        of_file[file] += one.code.startswith("CS1")
        if not one.code.startswith("CS1") or of_file[file] <= SYNTAX_SHOWN:
            shown.append(one)
    if found:
        print_diagnostics(shown, sources, sys.stderr)
        left = len(found) - len(shown)
        more = f", {left} of them not shown: `cortexspec check --json` has them" if left else ""
        typer.echo(f"\n{count(found)}{more}", err=True)


@contextmanager
def reporting(as_json: bool) -> Generator[None, None, None]:
    """Turns a SpecError into its diagnostics and exit code 1."""
    try:
        yield
    except SpecError as error:
        if as_json:
            from cortexspec.diagnostics.render_json import render_json

            say_json(ok=False, diagnostics=render_json(error.diagnostics))
        else:
            show_diagnostics(error.diagnostics, error.sources)
        raise typer.Exit(BROKEN) from error


def _plain(value: Any) -> Any:
    """What `json` does not know: numpy numbers and arrays, paths, tuples in mappings."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value)


def finish(fine: bool) -> None:
    """Exit code 0, or 1."""
    if not fine:
        raise typer.Exit(BROKEN)
