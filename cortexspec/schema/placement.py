"""Which statement may stand in which block. The grammar takes any statement anywhere, so that this can say it better."""

from collections.abc import Iterator

from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.schema.experiment import Section, Variant
from cortexspec.schema.neuron import Spike
from cortexspec.schema.spec import Experiment, Spec, Template, Use
from cortexspec.schema.statement import Connect, Loop, On, Statement

# An experiment, a variant, loops, a connection and room: deeper than any spec.
DEEPEST_BLOCK = 20

_DYNAMICS = frozenset({"param", "state", "input", "output", "let", "noise", "equation", "update", "spike"})
_CIRCUIT = frozenset(
    {
        "param", "input", "output", "let", "part", "population", "group", "attribute", "connect", "start", "penalty",
        "for", "set_modifiers",
    }
)  # fmt: skip
_EDITS = _CIRCUIT | {"equation", "retype", "remove", "simulate", "train", "vary", "stimulus", "measure"}

ALLOWED: dict[str, frozenset[str]] = {
    "neuron": _DYNAMICS,
    "synapse": _DYNAMICS | {"on"},
    "function": frozenset({"param", "input", "output", "let", "part"}),
    "circuit": _CIRCUIT,
    "experiment": _EDITS | {"variant", "claim"},
    "variant": _EDITS,
    "simulate": frozenset({"equation", "let"}),
    "train": frozenset({"equation", "let", "penalty", "stimulus"}),
    "vary": frozenset({"equation"}),
    "spike": frozenset({"update", "let"}),
    "on": frozenset({"update", "let", "send"}),
    "connect": frozenset({"equation", "set_modifiers"}),
}

_SHOWN = {
    "equation": "an equation or edit",
    "update": "`x <- e`",
    "set_modifiers": "a change of modifiers",
    "retype": "a change of type",
}
_BLOCK = {
    "experiment": "an experiment",
    "spike": "the block of a spike",
    "on": "an `on` block",
    "connect": "the block of a connection",
    **{word: f"`{word}`" for word in ("simulate", "train", "vary")},
}


def misplaced(spec: Spec) -> Iterator[Diagnostic]:
    """Every statement that stands in a block where it means nothing (CS105, CS107), and blocks nested beyond reason."""
    for item in spec.items:
        match item:
            case Use():
                pass
            case Template() | Experiment():
                yield from _in_block(item.body, item.kind, 1)


def _in_block(body: tuple[Statement, ...], block: str, depth: int) -> Iterator[Diagnostic]:
    if depth > DEEPEST_BLOCK:
        yield Diagnostic("CS108", f"blocks are nested more than {DEEPEST_BLOCK} deep", body[0].span if body else None)
        return
    for statement in body:
        if statement.kind not in ALLOWED[block]:
            yield _diagnostic(statement.kind, block, statement.span)
            continue
        match statement:
            case Loop():
                yield from _in_block(statement.body, block, depth + 1)
            case Spike() | On() | Section() | Variant():
                yield from _in_block(statement.body, statement.kind, depth + 1)
            case Connect():
                yield from _in_block(statement.settings, "connect", depth + 1)
            case _:
                pass


def _diagnostic(kind: str, block: str, span: Span | None) -> Diagnostic:
    if kind == "equation" and block in ("spike", "on"):
        message = "`=` states an equation; a change at a spike is written `<-`"
        return Diagnostic("CS107", message, span, "an equation cannot hold at one moment", "write `x <- e`")
    if kind == "equation" and block == "circuit":
        help = "give arguments where the type is used, or edit in an experiment or a variant"
        return Diagnostic("CS105", "an edit does not stand in a circuit", span, "", help)
    places = [_BLOCK.get(name, f"a {name}") for name, kinds in ALLOWED.items() if kind in kinds]
    shown = _SHOWN.get(kind, f"`{kind}`")
    message = f"{shown} does not stand in {_BLOCK.get(block, f'a {block}')}"
    return Diagnostic("CS105", message, span, "", f"it stands in {_either(places)}")


def _either(places: list[str]) -> str:
    return places[0] if len(places) == 1 else ", ".join(places[:-1]) + " or " + places[-1]
