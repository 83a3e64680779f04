"""Hypothesis draws whole specs: every statement in a place where it may stand, every form of expression.

The specs are well formed and say nothing sensible: names are rarely declared and units rarely fit. They are for
properties of the front ends (print then parse is the identity) and for robustness (analysis may object, never crash).
"""

# Hypothesis' `builds` and `map` lose types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false, reportMissingParameterType=false

from functools import cache
from typing import Any

from hypothesis import strategies as st

from cortexspec.expressions import tree
from cortexspec.expressions.names import name_problem
from cortexspec.schema.placement import ALLOWED
from cortexspec.schema.spec import Experiment, Formal, Item, Spec, Template, Use
from cortexspec.schema.statement import (
    Argument,
    Attribute,
    Claim,
    Connect,
    Declarator,
    Declare,
    Equation,
    Group,
    Instance,
    Instances,
    Loop,
    Measure,
    Modifier,
    Noise,
    On,
    Penalty,
    RangeOf,
    Remove,
    Retype,
    Section,
    Send,
    SetModifiers,
    Spike,
    Start,
    Statement,
    Stimulus,
    TypeUse,
    Update,
    Variant,
)
from cortexspec.schema.words import DECLARING, STATEMENT_WORDS, declared, opening_word

# Letters of papers, units, heads of keywords and statement words: whatever has confused a lexer.
_KNOWN_NAMES = (
    "v",
    "τ_m",
    "κ",
    "γ1",
    "V",
    "s",
    "m",
    "h",
    "ms",
    "S",
    "ε",
    "inside",
    "order",
    "x̂",
    "_",
    "π",
    "dt",
    "end",
)


def names() -> st.SearchStrategy[str]:
    """A name that may stand anywhere, also at the beginning of a statement."""
    drawn = st.from_regex(r"[a-zA-Zα-ωÀ-ÿ_][a-zA-Z0-9_α-ω]{0,7}", fullmatch=True)
    return st.one_of(st.sampled_from(_KNOWN_NAMES), drawn).filter(_is_free)


def _is_free(name: str) -> bool:
    return not name_problem(name) and name not in STATEMENT_WORDS


def operand_names() -> st.SearchStrategy[str]:
    """A name inside an expression, where statement words mean nothing."""
    return st.one_of(names(), st.sampled_from(("state", "input", "rule", "weight", "group", "on", "published", "of")))


def unit_texts() -> st.SearchStrategy[str]:
    """A unit that can stand behind a number."""
    symbols = st.sampled_from(("ms", "mV", "Hz", "nS", "pF", "GOhm", "um", "cm", "s", "m", "rad", "%", "uM", "kHz"))
    factors = st.builds(lambda symbol, power: symbol + power, symbols, st.sampled_from(("", "", "^2", "^-1")))
    return st.lists(factors, min_size=1, max_size=3).map("/".join)


def texts() -> st.SearchStrategy[str]:
    """What can stand between double quotes."""
    characters = st.characters(exclude_categories=("Cs",), exclude_characters='"\n\r')
    return st.one_of(st.sampled_from(("6.2", "# no comment", "a { b")), st.text(characters, max_size=12))


def docs() -> st.SearchStrategy[str]:
    """A doc string, or none."""
    text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=30)
    drawn = text.filter(lambda doc: '"""' not in doc and not doc.endswith('"'))
    return st.one_of(st.just(""), st.just("After Moran et al.\n  2013."), drawn)


def numbers() -> st.SearchStrategy[tree.Number]:
    """A literal, with a unit or without."""
    digits = st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
    return st.builds(tree.Number, digits, st.one_of(st.just(""), unit_texts()))


def expressions(max_leaves: int = 8) -> st.SearchStrategy[tree.Expression]:
    """Any expression that text can say."""
    leaves = st.one_of(numbers(), st.builds(tree.Name, operand_names()), st.builds(tree.Text, texts()))
    return st.recursive(leaves, _compound, max_leaves=max_leaves)


def _compound(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    operators = st.sampled_from(("or", "and", "==", "!=", "<=", ">=", "<", ">", "..", "+", "-", "*", "/", "@", "^"))
    underived = parts.filter(lambda part: not isinstance(part, tree.Derivative))
    arguments = st.lists(_arguments(parts, tree.Argument, tree.Modifier), max_size=3).map(tuple)
    ranges = st.lists(st.builds(tree.Range, _name_tuples(), parts), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.builds(tree.Binary, operators, parts, parts),
        st.builds(tree.Unary, st.sampled_from(("-", "not")), parts),
        st.builds(tree.Member, parts, st.one_of(operand_names(), st.just("*"))),
        st.builds(tree.Derivative, underived, st.integers(1, 3)),
        st.builds(tree.Index, parts, arguments.filter(bool)),
        st.builds(tree.Call, parts, arguments),
        st.builds(tree.ListOf, st.lists(parts, max_size=3).map(tuple), st.one_of(st.just(""), unit_texts())),
        st.builds(tree.Comprehension, parts, ranges),
    )


def _name_tuples() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(operand_names(), min_size=1, max_size=2).map(tuple)


def _arguments(parts: st.SearchStrategy[Any], argument: Any, modifier: Any) -> st.SearchStrategy[Any]:
    some = st.lists(_modifiers(parts, modifier), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.builds(argument, value=parts),
        st.builds(argument, value=parts, name=operand_names()),
        st.builds(argument, value=parts, name=operand_names(), modifiers=some),
        st.builds(argument, value=st.none(), name=operand_names(), modifiers=some),
    )


def _modifiers(parts: st.SearchStrategy[Any], modifier: Any) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(modifier, kind=st.just("trainable")),
        st.builds(modifier, kind=st.sampled_from(("in", "~", "every")), value=parts),
        st.builds(modifier, kind=st.just("per"), extent=operand_names()),
    )


def _brief(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same strategy, but its printed form does not spell out all that it is made of."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:
        return draw(strategy)

    return drawn()


_EXPRESSIONS = _brief(expressions(4))
_MAYBE = st.one_of(st.none(), _EXPRESSIONS)
_MODIFIERS = _brief(st.lists(_modifiers(_EXPRESSIONS, Modifier), max_size=2).map(tuple))
_SOME_MODIFIERS = _MODIFIERS.filter(bool)
_ARGUMENTS = _brief(st.lists(_arguments(_EXPRESSIONS, Argument, Modifier), max_size=2).map(tuple))
_TYPES = _brief(st.builds(TypeUse, name=operand_names(), arguments=_ARGUMENTS))
_AXES = st.lists(_EXPRESSIONS, max_size=2).map(tuple)
_UNITS = st.one_of(st.just(""), unit_texts(), st.just("mV*ms"))
_RANGES = _brief(
    st.lists(st.builds(RangeOf, names=_name_tuples(), values=_EXPRESSIONS), min_size=1, max_size=2).map(tuple)
)
# What may stand first in a statement: not the word of another statement.
_TARGETS = _EXPRESSIONS.filter(lambda target: not opening_word(target))


def _declares(kind: str) -> st.SearchStrategy[Declare]:
    primes = st.sampled_from(("", "", "'", "''"))
    state_names = st.builds(lambda name, prime: name + prime, operand_names(), primes)
    named = st.builds(Declarator, name=state_names, axes=_AXES, unit=_UNITS, value=_MAYBE)
    unnamed = st.builds(Declarator, unit=_UNITS, value=_EXPRESSIONS.filter(lambda value: declared(value) is None))
    one = st.one_of(named, unnamed) if kind == "output" else named
    some = st.lists(one, min_size=1, max_size=3).map(tuple)
    return st.builds(Declare, kind=st.just(kind), declarators=some, modifiers=_MODIFIERS)


def _spikes(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Spike]:
    when = st.builds(Spike, condition=_EXPRESSIONS, crosses=_MAYBE, body=body, refractory=_MAYBE, surrogate=_MAYBE)
    return st.one_of(when, st.builds(Spike, distribution=_EXPRESSIONS))


def _simple() -> dict[str, st.SearchStrategy[Any]]:
    """The statements without a block, by kind."""
    instance = st.builds(Instance, name=operand_names(), axes=_AXES, type=st.one_of(st.none(), _TYPES))
    instances = st.lists(instance, min_size=1, max_size=3).map(tuple)
    targeted = {"target": _EXPRESSIONS, "value": _EXPRESSIONS}
    named = {"name": operand_names(), "value": _EXPRESSIONS}
    optional_text = st.one_of(st.just(""), texts())
    within = st.tuples(_MAYBE, _MAYBE).map(lambda pair: pair if pair[0] is not None else (None, None))
    claim = st.builds(
        lambda both, **rest: Claim(within=both[0], of=both[1], **rest),
        within,
        text=texts(),
        source=texts(),
        value=_EXPRESSIONS,
        published=_MAYBE,
        contradicts=optional_text,
        ranges=st.one_of(st.just(()), _RANGES),
    )
    return {
        **{kind: _declares(kind) for kind in DECLARING},
        **{kind: st.builds(Instances, kind=st.just(kind), instances=instances) for kind in ("population", "part")},
        "group": st.builds(Group, name=operand_names(), members=_EXPRESSIONS),
        "attribute": st.builds(Attribute, unit=_UNITS, **targeted),
        "equation": st.builds(Equation, left=_TARGETS, right=_EXPRESSIONS, modifiers=_MODIFIERS),
        "set_modifiers": st.builds(SetModifiers, target=_TARGETS, modifiers=_SOME_MODIFIERS),
        "retype": st.builds(Retype, name=names(), type=_TYPES),
        "update": st.builds(Update, name=names(), value=_EXPRESSIONS, modifiers=_MODIFIERS),
        "send": st.builds(Send, value=_EXPRESSIONS),
        "noise": st.builds(Noise, names=_name_tuples()),
        "start": st.builds(Start, **targeted),
        "remove": st.builds(Remove, targets=st.lists(_EXPRESSIONS, min_size=1, max_size=3).map(tuple)),
        "penalty": st.builds(Penalty, **named),
        "measure": st.builds(Measure, **named),
        "stimulus": st.builds(Stimulus, **targeted),
        "claim": claim,
    }


_SIMPLE = {kind: _brief(strategy) for kind, strategy in _simple().items()}


@cache
def statements(block: str, depth: int = 2) -> st.SearchStrategy[Statement]:
    """A statement that may stand in such a block ("neuron", "circuit", "variant", ...)."""
    kinds = ALLOWED[block]
    choices = [drawn for kind, drawn in _SIMPLE.items() if kind in kinds]
    if depth > 0:
        choices += _with_blocks(block, depth - 1)
    return _brief(st.one_of(choices))


def _with_blocks(block: str, depth: int) -> list[st.SearchStrategy[Any]]:
    kinds = ALLOWED[block]

    def inside(kind: str) -> st.SearchStrategy[Any]:
        return st.lists(statements(kind, depth), max_size=2).map(tuple)

    made: dict[str, st.SearchStrategy[Any]] = {
        "spike": _spikes(inside("spike")),
        "on": st.builds(On, event=st.sampled_from(("pre", "post")), body=inside("on")),
        "connect": st.builds(
            Connect,
            name=st.one_of(st.just(""), operand_names()),
            source=_EXPRESSIONS,
            target=_EXPRESSIONS,
            settings=inside("connect"),
        ),
        "for": st.builds(Loop, ranges=_RANGES, body=inside(block)),
        "variant": st.builds(
            Variant, name=operand_names(), of=st.one_of(st.just(""), operand_names()), body=inside("variant")
        ),
    }
    sections = [st.builds(Section, kind=st.just(one), body=inside(one)) for one in ("simulate", "train", "vary")]
    return [drawn for kind, drawn in made.items() if kind in kinds] + (sections if "train" in kinds else [])


def items() -> st.SearchStrategy[Item]:
    """Any item."""
    formal_types = st.one_of(st.sampled_from(("int", "real", "bool", "text")), unit_texts())
    formals = st.lists(st.builds(Formal, name=operand_names(), type=formal_types, default=_MAYBE), max_size=2).map(
        tuple
    )
    uses = st.one_of(
        st.builds(Use, names=_name_tuples(), doc=docs()),
        st.builds(Use, file=texts().filter(bool), doc=docs()),
    )
    templates = [
        st.builds(Template, kind=st.just(kind), name=operand_names(), formals=formals, body=_bodies(kind), doc=docs())
        for kind in ("neuron", "synapse", "function", "circuit")
    ]
    bodies, like = _bodies("experiment"), st.one_of(st.just(""), operand_names())
    experiments = st.one_of(
        st.builds(Experiment, name=operand_names(), like=like, body=bodies, doc=docs()),
        st.builds(
            Experiment,
            name=operand_names(),
            of=operand_names(),
            arguments=_ARGUMENTS,
            like=like,
            body=bodies,
            doc=docs(),
        ),
    )
    return _brief(st.one_of(uses, *templates, experiments))


def _bodies(block: str) -> st.SearchStrategy[tuple[Statement, ...]]:
    return st.lists(statements(block), max_size=4).map(tuple)


def specs() -> st.SearchStrategy[Spec]:
    """A whole spec."""
    return st.builds(Spec, doc=docs(), items=st.lists(items(), max_size=3).map(tuple))
