"""`cortexspec explain`, and what all commands share: exit codes, and a bug of ours that says so."""

import json
import sys

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app, main
from cortexspec.cli.explain import find_page
from cortexspec.diagnostics import CODES

runner = CliRunner()


def test_a_code_and_its_slug_show_the_same_page() -> None:
    by_code = runner.invoke(app, ["explain", "cs401"])
    by_slug = runner.invoke(app, ["explain", "unit-mismatch"])
    assert by_code.exit_code == by_slug.exit_code == 0
    assert by_code.stdout == by_slug.stdout
    assert by_code.stdout.startswith("# CS401 unit-mismatch\n")


def test_without_a_code_every_code_is_listed() -> None:
    lines = runner.invoke(app, ["explain"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(CODES)


def test_json() -> None:
    data = json.loads(runner.invoke(app, ["explain", "CS802", "--json"]).stdout)
    assert data["ok"] is True and data["slug"] == "missing-backend" and data["page"].startswith("# CS802")
    assert len(json.loads(runner.invoke(app, ["explain", "--json"]).stdout)["codes"]) == len(CODES)


def test_an_unknown_code_is_wrong_use() -> None:
    result = runner.invoke(app, ["explain", "CS000"])
    assert result.exit_code == 2
    assert "there is no code `CS000`" in result.stderr


def test_an_unknown_command_is_wrong_use() -> None:
    assert runner.invoke(app, ["chekc"]).exit_code == 2


def test_the_pages_are_found() -> None:
    page = find_page("CS401")
    assert page is not None and page.name == "CS401.md"
    assert find_page("CS000") is None


def test_a_bug_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("cortexspec.cli.commands.app", broken)
    monkeypatch.setattr(sys, "argv", ["cortexspec"])
    monkeypatch.delenv("CORTEXSPEC_DEBUG", raising=False)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("internal error: ZeroDivisionError: oops at ") and "not in your spec" in said
    monkeypatch.setenv("CORTEXSPEC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main()
