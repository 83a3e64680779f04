"""The tutorial's blocks run, in order."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [spec] = blocks("cortex")
    Path("column.cortex").write_text(spec, encoding="utf-8")
    [console] = blocks("console")
    command, _, printed = console.removeprefix("$ ").partition("\n")
    assert CliRunner().invoke(app, command.split()[1:]).output == printed
    names: dict[str, object] = {}
    for program in blocks("python"):
        exec(program, names)
