"""Every code has its page in docs/errors, and what the page shows is so: its spec fails with the code, its repair does not."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app
from cortexspec.diagnostics import CODES, Diagnostic, SpecError
from cortexspec.ir.parser import parse_module
from cortexspec.ir.verifier import verify
from cortexspec.runtime.api import source_of
from cortexspec.runtime.check import check_file
from cortexspec.runtime.compile import elaborated, lowered

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
BLOCK = re.compile(r"^```([a-z ]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDING = {"cortex": ".cortex", "yaml": ".yaml", "json": ".json"}
PAIRED = (*ENDING, "cxir", "python")


@dataclass(frozen=True)
class Block:
    language: str
    role: str
    text: str


def blocks_of(code: str) -> list[Block]:
    page = PAGES / f"{code}.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return [Block(*[*info.split(), ""][:2], body) for info, body in BLOCK.findall(text)]


def cases(role: str, languages: tuple[str, ...] = PAIRED) -> list[Any]:
    return [
        pytest.param(code, block, id=f"{code}-{number}")
        for code in sorted(CODES)
        for number, block in enumerate(blocks_of(code))
        if block.role == role and block.language in languages
    ]


def diagnose(code: str, block: Block, folder: Path) -> tuple[Diagnostic, ...]:
    match block.language:
        case "cxir":
            return raised_by(lambda: raise_all(verify(parse_module(block.text))))
        case "python":
            return raised_by(lambda: exec(compile(block.text, f"{code}.md", "exec"), {"__name__": "page"}))
        case _:
            path = folder / f"model{ENDING[block.language]}"
            path.write_text(block.text, encoding="utf-8")
            checked = check_file(path)
            if code.startswith("CS7") and checked.fine:
                return raised_by(lambda: lowered(elaborated(source_of(path), None, {})))
            return checked.diagnostics


def raised_by(action: Any) -> tuple[Diagnostic, ...]:
    try:
        action()
    except SpecError as error:
        return error.diagnostics
    return ()


def raise_all(found: tuple[Diagnostic, ...]) -> None:
    if found:
        raise SpecError(found)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_page(code: str) -> None:
    page = PAGES / f"{code}.md"
    assert page.is_file(), f"docs/errors/{code}.md is missing"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {code} {CODES[code].slug}\n\n"), "the heading is the code and its slug"
    blocks = blocks_of(code)
    assert any(block.role in ("", "example") for block in blocks), "a page shows a spec that fails, or a console"
    for here, after in zip(blocks, [*blocks[1:], Block("", "", "")], strict=True):
        if here.language in PAIRED and here.role == "":
            assert (after.language, after.role) == (here.language, "repair"), (
                "a failing block is followed by its repair"
            )


def test_every_page_has_its_code() -> None:
    assert {page.stem for page in PAGES.glob("CS*.md")} == set(CODES)


def test_every_code_that_is_used_is_registered() -> None:
    files = [
        *(ROOT / "cortexspec").rglob("*.py"),
        *(ROOT / "backends").rglob("*.py"),
        *(ROOT / "plugins").rglob("*.py"),
    ]
    used = {
        code
        for file in files
        if "tests" not in file.parts
        for code in re.findall(r'"(CS\d{3})"', file.read_text(encoding="utf-8"))
    }
    assert used <= set(CODES), sorted(used - set(CODES))


@pytest.mark.parametrize(("code", "block"), cases(""))
def test_what_fails_fails_with_this_code(
    code: str, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = diagnose(code, block, tmp_path)
    assert code in {diagnostic.code for diagnostic in found}, found
    if block.language != "python":
        placed = [diagnostic for diagnostic in found if diagnostic.code == code and diagnostic.span]
        assert placed or block.language == "cxir", "a mistake in a file has its place"


@pytest.mark.parametrize(("code", "block"), cases("repair"))
def test_the_repair_is_fine(code: str, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert diagnose(code, block, tmp_path) == ()


@pytest.mark.parametrize(("code", "block"), [*cases("", ("console",)), *cases("example", ("console",))])
def test_a_console_shows_the_code_and_can_be_repeated(
    code: str, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consoles marked `example` need a state of the machine that a test should not make; the others are run."""
    [shown] = [line for line in block.text.splitlines() if line.startswith("error[")]
    assert shown.startswith(f"error[{code} {CODES[code].slug}]: ")
    if block.role == "example":
        return
    monkeypatch.chdir(tmp_path)
    for beside in blocks_of(code):
        if beside.role == "file":
            (tmp_path / f"model{ENDING[beside.language]}").write_text(beside.text, encoding="utf-8")
    [command] = [line for line in block.text.splitlines() if line.startswith("$ cortexspec ")]
    result = CliRunner().invoke(app, shlex.split(command)[2:])
    assert result.exit_code == 1, (result.output, result.exception)
    assert shown in result.stderr.splitlines()
