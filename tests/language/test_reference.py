"""The example of the reference is what the reference says."""

import re
from pathlib import Path

from cortexspec.language.format import format_text
from cortexspec.language.parse import parse_spec
from cortexspec.schema.placement import ALLOWED
from cortexspec.schema.words import STATEMENT_WORDS

REFERENCE = (Path(__file__).parents[2] / "docs" / "language.md").read_text("utf-8")


def test_the_example_parses_and_is_formatted() -> None:
    (example,) = re.findall(r"```cortex\n(.*?)```", REFERENCE, re.DOTALL)
    spec, diagnostics = parse_spec(example)
    assert spec is not None
    assert diagnostics == ()
    assert format_text(example) == example


def test_every_word_of_a_statement_is_named() -> None:
    assert not [word for word in STATEMENT_WORDS if not re.search(rf"\b{word}\b", REFERENCE)]
    assert not [block for block in ALLOWED if not re.search(rf"\b{block}\b", REFERENCE)]
