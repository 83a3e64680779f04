"""Every code has its page in docs/errors, and what the page shows is so: its spec fails with the code, its repair does not."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app
from cortexspec.diagnostics import CODES, Diagnostic
from cortexspec.runtime.check import check_file

PAGES = Path(__file__).parents[2] / "docs" / "errors"
BLOCK = re.compile(r"^```([a-z ]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDING = {"cortex": ".cortex", "yaml": ".yaml", "json": ".json"}


@dataclass(frozen=True)
class Block:
    language: str
    role: str
    text: str


def blocks_of(code: str) -> list[Block]:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    return [Block(*(info.split() + [""])[:2], body) for info, body in BLOCK.findall(text)]


def cases(role: str) -> list[object]:
    found = []
    for code in sorted(CODES):
        if (PAGES / f"{code}.md").is_file():
            for number, block in enumerate(blocks_of(code)):
                if block.role == role and block.language in ENDING:
                    found.append(pytest.param(code, block, id=f"{code}-{number}"))
    return found


def diagnose(block: Block, folder: Path) -> tuple[Diagnostic, ...]:
    path = folder / f"model{ENDING[block.language]}"
    path.write_text(block.text, encoding="utf-8")
    return check_file(path).diagnostics


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_page(code: str) -> None:
    page = PAGES / f"{code}.md"
    assert page.is_file(), f"docs/errors/{code}.md is missing"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {code} {CODES[code].slug}\n\n"), "the heading is the code and its slug"
    blocks = blocks_of(code)
    shown = [block for block in blocks if block.role != "repair"]
    assert shown, "a page shows a spec that fails, or a console"
    for here, after in zip(blocks, [*blocks[1:], Block("", "", "")], strict=True):
        if here.language in ENDING and here.role == "":
            assert (after.language, after.role) == (here.language, "repair"), "a failing block is followed by its repair"


def test_every_page_has_its_code() -> None:
    pages = {page.stem for page in PAGES.glob("CS*.md")}
    assert pages == set(CODES)


@pytest.mark.parametrize(("code", "block"), cases(""))
def test_what_fails_fails_with_this_code(code: str, block: Block, tmp_path: Path) -> None:
    found = diagnose(block, tmp_path)
    assert code in {diagnostic.code for diagnostic in found}, found
    assert all(diagnostic.span for diagnostic in found if diagnostic.code == code), "a mistake in a file has its place"


@pytest.mark.parametrize(("code", "block"), cases("repair"))
def test_the_repair_is_fine(code: str, block: Block, tmp_path: Path) -> None:
    assert diagnose(block, tmp_path) == ()


def consoles() -> list[object]:
    pages = [code for code in sorted(CODES) if (PAGES / f"{code}.md").is_file()]
    return [
        pytest.param(code, block, id=code) for code in pages for block in blocks_of(code) if block.language == "console"
    ]


@pytest.mark.parametrize(("code", "block"), consoles())
def test_a_console_shows_the_code_and_can_be_repeated(
    code: str, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consoles marked `example` need a state of the machine that a test should not make; the others are run."""
    heading = f"error[{code} {CODES[code].slug}]: "
    [shown] = [line for line in block.text.splitlines() if line.startswith("error[")]
    assert shown.startswith(heading)
    if block.role != "example":
        [command] = [line for line in block.text.splitlines() if line.startswith("$ cortexspec ")]
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(app, command.split()[2:])
        assert result.exit_code == 1
        assert shown in result.stderr.splitlines()
