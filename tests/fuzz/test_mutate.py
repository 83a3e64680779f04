"""A short run of the fuzz command; the long one is `python -m tests.fuzz.mutate --count 20000`."""

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).with_name("mutate.py")
_SPEC = importlib.util.spec_from_file_location("fuzz_mutate", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
mutate = importlib.util.module_from_spec(_SPEC)
sys.modules["fuzz_mutate"] = mutate
_SPEC.loader.exec_module(mutate)


def test_a_few_hundred_mutated_specs() -> None:
    failures, codes = mutate.fuzz(range(300), seed=0)
    assert not failures, "\n".join(f"case {one.number}\n{one.story}" for one in failures[:3])
    assert len(codes) > 10, "the cases are too alike"


def test_a_case_depends_on_its_number_alone() -> None:
    models = mutate.pieces()
    assert mutate.case(17, 0, models) == mutate.case(17, 0, models)
    assert mutate.case(17, 0, models) != mutate.case(18, 0, models)
