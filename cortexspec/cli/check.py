"""`cortexspec check`: every mistake of a file, with its place and its repair."""

from cortexspec.cli.options import AsJson, SpecFiles
from cortexspec.cli.output import finish, reporting, say, say_json, show_diagnostics


def check(files: SpecFiles, as_json: AsJson = False) -> None:
    """Check specs: syntax, names, units, axes.

    Every circuit and every experiment of a file is elaborated; nothing is run. Mistakes go to stderr, all in one run.

    Examples:

      cortexspec check specs/cmc

      cortexspec check model.cortex other.yaml --json
    """
    from cortexspec.diagnostics.render_json import render_json
    from cortexspec.runtime.check import check_file

    with reporting(as_json):
        reports = [check_file(file) for file in files]
    found = [diagnostic for report in reports for diagnostic in report.diagnostics]
    sources = {name: text for report in reports for name, text in report.sources.items()}
    fine = all(report.fine for report in reports)
    if as_json:
        say_json(
            ok=fine,
            files=[{"file": report.file, "ok": report.fine, "items": report.items} for report in reports],
            diagnostics=render_json(found),
        )
    else:
        show_diagnostics(found, sources)
        for report in reports:
            if report.fine:
                say(f"{report.file}: fine ({report.summary()})")
    finish(fine)
