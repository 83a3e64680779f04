"""Members of a `let` that is a call: `a.rate` is the call with `member = "rate"`."""

from cortexspec.analysis.members import members_in_full
from cortexspec.expressions.print import print_expression
from cortexspec.language.parse import parse_spec
from cortexspec.schema import statement as written

TEXT = """
experiment one of ring {
  let a = theory(order = 2)
  let b = 2*a.rate
  let c = theory(order = 1)
  measure x = a.rate/E.spike + mean(a.width, over = time)
  measure y = b
}
"""


def test_members_are_calls_and_their_let_is_gone() -> None:
    spec, mistakes = parse_spec(TEXT)
    assert spec is not None and not mistakes
    body = members_in_full(spec.items[0].body)
    lets = {
        d.name: print_expression(d.value)
        for one in body
        if isinstance(one, written.Declare)
        for d in one.declarators
        if d.value is not None
    }
    assert lets == {"b": '2*theory(order = 2, member = "rate")', "c": "theory(order = 1)"}
    measures = {one.name: print_expression(one.value) for one in body if isinstance(one, written.Measure)}
    rate, width = (f'theory(order = 2, member = "{name}")' for name in ("rate", "width"))
    assert measures == {"x": f"{rate}/E.spike + mean({width}, over = time)", "y": "b"}
