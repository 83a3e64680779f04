"""The commands, gathered. Each stands in a file of its own and imports what it needs when it runs."""

import os
import sys
from typing import Annotated

import typer

from cortexspec.cli.check import check
from cortexspec.cli.conformance import conformance
from cortexspec.cli.diff import diff
from cortexspec.cli.explain import explain
from cortexspec.cli.export import export
from cortexspec.cli.format import format_files
from cortexspec.cli.output import BROKEN, say
from cortexspec.cli.plugins import plugins
from cortexspec.cli.reproduce import reproduce
from cortexspec.cli.run import run
from cortexspec.cli.show import show
from cortexspec.cli.train import train

app = typer.Typer(
    name="cortexspec",
    help="Cortical circuits as text: check them, look at them, run them, train them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(check)
app.command("format")(format_files)
app.command()(show)
app.command()(run)
app.command()(train)
app.command()(reproduce)
app.command()(export)
app.command()(diff)
app.command()(explain)
app.command()(plugins)
app.command()(conformance)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(version("cortexspec"))
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Cortical circuits as text: check them, look at them, run them, train them."""


def main() -> None:
    """The console script. A mistake of ours is said to be ours, and never looks like one of the spec's."""
    try:
        app()
    except Exception as bug:
        if os.environ.get("CORTEXSPEC_DEBUG"):
            raise
        last = bug.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        place = f" at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
        print(
            f"internal error: {type(bug).__name__}: {bug}{place}\n"
            "This is a mistake in CortexSpec, not in your spec. CORTEXSPEC_DEBUG=1 shows the whole traceback.",
            file=sys.stderr,
        )
        sys.exit(BROKEN)
