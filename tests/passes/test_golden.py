"""What each pass does, on a few lines: golden/PASS/before.cxir and after.cxir. Read that pair to know a pass.

`python tests/passes/test_golden.py` writes the after files anew; read the difference before it is kept.
"""

import sys
from pathlib import Path

import pytest

from cortexspec.ir.parser import parse_module
from cortexspec.ir.printer import print_module
from cortexspec.passes.pipeline import run_pipeline

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


def after(name: str) -> str:
    text = (GOLDEN / name / "before.cxir").read_text(encoding="utf-8")
    return print_module(run_pipeline(parse_module(text), (name.partition(".")[0],)))


@pytest.mark.parametrize("name", CASES)
def test_the_pass_does_what_its_golden_file_says(name):
    assert after(name) == (GOLDEN / name / "after.cxir").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_a_golden_file_that_a_pass_made_is_its_own_result(name):
    """What comes out goes in again: nothing is left to do."""
    text = (GOLDEN / name / "after.cxir").read_text(encoding="utf-8")
    assert print_module(run_pipeline(parse_module(text), (name.partition(".")[0],))) == text


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        (GOLDEN / case / "after.cxir").write_text(after(case), encoding="utf-8")
