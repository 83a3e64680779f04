"""What the README shows is what happens: its spec checks, its commands print what it says, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


@pytest.fixture(autouse=True)
def _in_a_folder_with_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [spec] = blocks("cortex")
    (tmp_path / "column.cortex").write_text(spec, encoding="utf-8")
    (tmp_path / "wrong.cortex").write_text(spec.replace("κ^2*v", "κ*v"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def sessions() -> list[tuple[str, str]]:
    """Each command with what it prints."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


@pytest.mark.parametrize(("command", "printed"), sessions())
def test_a_command_prints_what_the_readme_says(command: str, printed: str) -> None:
    name, *arguments = shlex.split(command)
    assert name == "cortexspec"
    result = CliRunner().invoke(app, arguments)
    assert result.output.startswith(printed)


def test_the_python_runs() -> None:
    pytest.importorskip("torch.nn")
    [program] = blocks("python")
    names: dict[str, object] = {}
    exec(program, names)
    assert names["run"]["exc.v"].shape == (1, 1000, 1)  # type: ignore[index]


def test_the_spec_has_the_layout_of_the_formatter() -> None:
    result = CliRunner().invoke(app, ["format", "--check", "column.cortex"])
    assert result.stdout == "nothing to change\n"
    assert len(blocks("cortex")[0].splitlines()) <= 20


def test_what_the_readme_points_at_is_there() -> None:
    root = Path(__file__).parents[2]
    for path in re.findall(r"`((?:docs|specs)/[\w./]+|[A-Z]+\.md)`", README):
        assert (root / path).exists(), path
