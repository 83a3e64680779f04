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


def test_the_last_line_counts_crashes_and_hangs() -> None:
    failures = [mutate.Failure(1, "", ""), mutate.Failure(2, "", "", hang=True), mutate.Failure(3, "", "")]
    assert mutate.summary(20, 1.6, failures) == "20 cases, 2 seconds of one core, 2 crashes, 1 hangs"


def test_what_fails_is_told_and_the_command_says_so(monkeypatch, capsys) -> None:
    def crash(text: str) -> None:
        raise KeyError(text)

    monkeypatch.setattr(mutate, "run", crash)
    monkeypatch.setattr(sys, "argv", ["mutate", "--count", "2"])
    assert mutate.main() == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("2 crashes, 0 hangs")
