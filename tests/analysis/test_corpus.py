"""Broken specs, each with what `check` must say about it: code, line, column and help, all mistakes of a file in one run.

The head of a file is `# why it is wrong`, then one line a mistake: `# expect: CS401 12:7 the help, if there is one`.
"""

import re
import time
from pathlib import Path

import pytest

from cortexspec.analysis.elaborate import check
from cortexspec.diagnostics import CODES
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.check import check_file
from cortexspec.schema.spec import Spec

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted(CORPUS.glob("*.cortex"))
EXPECT = re.compile(r"# expect: (CS\d{3}) (?:(\d+):(\d+)|-)(?: (.*))?$")
SLOWEST_S = 20


def expected(path: Path) -> list[tuple[str, int | None, int | None, str]]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := EXPECT.match(line):
            code, row, column, help = match.groups()
            found.append((code, int(row) if row else None, int(column) if column else None, help or ""))
    return found


def test_the_corpus_is_large_and_uses_registered_codes() -> None:
    assert len(FILES) >= 40
    codes = {code for path in FILES for code, *_ in expected(path)}
    assert codes <= set(CODES)
    assert len(codes) >= 25


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_says_what_is_expected(path: Path) -> None:
    began = time.process_time()
    found = check_file(path).diagnostics
    assert time.process_time() - began < SLOWEST_S
    places = [
        (one.code, one.span.line if one.span else None, one.span.column if one.span else None, one.help)
        for one in found
    ]
    assert places == expected(path)


def parsed(path: Path) -> Spec | None:
    return parse_spec(path.read_text(encoding="utf-8"), str(path))[0]


@pytest.mark.parametrize("path", [path for path in FILES if parsed(path) is not None], ids=lambda path: path.stem)
def test_a_spec_without_places_has_the_same_mistakes(path: Path) -> None:
    """JSON, YAML and Python-built specs have no spans, or others; what is wrong with them is the same."""
    spec = parsed(path)
    assert spec is not None
    again = Spec.model_validate_json(spec.model_dump_json())
    assert {one.code for one in check(again)} == {code for code, *_ in expected(path)}
