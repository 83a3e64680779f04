"""`cortexspec explain`: the page of an error code."""

from pathlib import Path
from typing import Annotated

import typer

from cortexspec.cli.options import AsJson
from cortexspec.cli.output import say, say_json
from cortexspec.diagnostics import CODES


def explain(
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="A code such as CS401, or its slug.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Explain an error code.

    What it means, a spec that fails with it, and the repair.

    Without a code, list them all.

    Examples: `cortexspec explain CS401`, `cortexspec explain unit-mismatch`
    """
    if not code:
        _list_all(as_json)
        return
    entry = CODES.get(code.upper()) or next((known for known in CODES.values() if known.slug == code), None)
    if entry is None:
        raise typer.BadParameter(f"there is no code `{code}`; `cortexspec explain` lists them all", param_hint="CODE")
    page = find_page(entry.code)
    text = page.read_text(encoding="utf-8") if page else f"# {entry.code} {entry.slug}\n\n{entry.meaning}\n"
    if as_json:
        say_json(ok=True, code=entry.code, slug=entry.slug, meaning=entry.meaning, page=text)
    else:
        say(text.rstrip())


def find_page(code: str) -> Path | None:
    """In the installed package, else in the checkout that this package is imported from."""
    package = Path(__file__).parents[1]
    for folder in (package / "diagnostics" / "pages", package.parent / "docs" / "errors"):
        if (folder / f"{code}.md").is_file():
            return folder / f"{code}.md"
    return None


def _list_all(as_json: bool) -> None:
    entries = sorted(CODES.values(), key=lambda entry: entry.code)
    if as_json:
        say_json(ok=True, codes=[{"code": e.code, "slug": e.slug, "meaning": e.meaning} for e in entries])
        return
    width = max(len(entry.slug) for entry in entries)
    for entry in entries:
        say(f"{entry.code}  {entry.slug:<{width}}  {entry.meaning}")
