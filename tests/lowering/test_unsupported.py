"""What a plugin should tell and does not is an error at its place, never left out of the program."""

import pytest

from cortexspec.analysis.elaborate import elaborate
from cortexspec.analysis.library import Brought
from cortexspec.diagnostics import Diagnostic
from cortexspec.language.parse import parse_spec
from cortexspec.library import ConnectionRule
from cortexspec.lowering import lower

TEXT = """use rings

neuron leaky {
  param τ = 10 ms
  input I : mV = 0 mV
  state v = 0 mV
  τ*v' = I - v
  output v
}

circuit net {
  population a[3], b[3] : leaky
  connect a.v -> b.I { weight = 0.5 }
  output y = b.v
}
"""


def lowered(text: str, *brought: Brought) -> list[Diagnostic]:
    spec, mistakes = parse_spec(text)
    assert spec is not None and not mistakes
    model, found = elaborate(spec, plugins=brought)
    assert model is not None, found
    told: list[Diagnostic] = []
    assert (lower(model, told.append) is None) == bool(told)
    return told


def test_a_use_alone_takes_nothing_away() -> None:
    assert lowered(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("I - v", "I - strange(v)", "strange"),
        ("param τ = 10 ms", "param τ = 10 ms in odd", "odd"),
        ("weight = 0.5", "weight = other(3)", "other"),
        ("weight = 0.5", "weight = 0.5; rule = ring(2)", "ring"),
        ("output y = b.v", "output y = strange(b.v)", "strange"),
    ],
)
def test_what_a_missing_plugin_would_bring(old: str, new: str, name: str) -> None:
    text = TEXT.replace(old, new)
    told = lowered(text)
    assert {one.code for one in told} == {"CS700"}
    place = text[: text.rindex(name)].count("\n") + 1
    assert any(f"`{name}`" in one.message and one.span is not None and one.span.line == place for one in told), told


@pytest.mark.parametrize("dense", [True, False])
def test_a_connection_rule_of_a_plugin(dense: bool) -> None:
    rings = Brought("rings", entries=(ConnectionRule("ring", ("k",), dense=dense),))
    text = TEXT.replace("weight = 0.5", "weight = 0.5; rule = ring(2)")
    (told,) = lowered(text, rings)
    assert told.code == "CS700" and "`ring`" in told.message
    assert told.span is not None and told.span.line == 13
