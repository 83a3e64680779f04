"""Every reference spec lowers, or says at each place what is not there yet: never a traceback, never a silent drop."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortexspec.analysis.elaborate import elaborate
from cortexspec.analysis.expand_templates import placeholders
from cortexspec.diagnostics import Diagnostic
from cortexspec.lowering import lower
from cortexspec.runtime.read import read_file
from cortexspec.schema.spec import Template

SPECS = Path(__file__).parents[2] / "specs"
FILES = sorted(SPECS.glob("*/*.cortex"))
LOWERS = {
    "cmc",
    "cmc2014",
    "cmc_as_printed",
    "cmc_repaired",
    "cmc_public_code",
    "visual_hierarchy",
    "driven",
    "gru",
    "gru_after",
    "embedded_core",
    "autapse",
    "elm network",
    "elm single",
    "ring",
    "gallery network",
    "microcircuit",
    "digits",
    "brain",
    "rnn",
}
WITH_DATA = {"microns_rnn"}  # whose files are beside the spec; the others' would have to be brought


def test_there_are_ten() -> None:
    assert len(FILES) == 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_it_lowers_or_says_what_is_missing(file: Path) -> None:
    reading = read_file(file)
    spec = reading.require()
    for item in spec.items:
        if not isinstance(item, Template) or item.kind != "circuit":
            continue
        data = reading.data if file.parent.name in WITH_DATA else None
        model, mistakes = elaborate(
            spec, item.name, placeholders(item), sources=reading.used, plugins=reading.plugins, data=data
        )
        assert model is not None, mistakes
        found: list[Diagnostic] = []
        module = lower(model, found.append)
        assert (module is not None) == bool({item.name, f"{file.parent.name} {item.name}"} & LOWERS)
        assert {one.code for one in found} <= {"CS700"}
        assert all(one.span is not None and "not supported yet" in one.message for one in found)
        assert len({(one.message, one.span) for one in found}) == len(found)
        assert bool(found) == (module is None)
