"""Names in reach: one `Body` for every instance of a template, and what a name in it stands for.

Everything here is written by `expand_templates` and read by the later steps; it is scaffolding of one run and never leaves `analysis`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cortexspec.analysis.model import VariableKind
from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis
from cortexspec.schema import statement as written
from cortexspec.units import DIMENSIONLESS, Unit

BodyKind = Literal["circuit", "neuron", "synapse", "function", "experiment"]
Extent = Literal["", "neuron", "pre", "post", "connection"]

# Names that mean the same everywhere and that nobody may take.
BUILT_IN = frozenset({"t", "dt", "π", "index", "training", "pre", "post"})


@dataclass(frozen=True, slots=True)
class Static:
    """A value that is known before elaboration, in coherent units; `size` keeps a whole number as a polynomial of size arguments."""

    value: float | int | bool | str | tuple[Static, ...]
    unit: Unit = DIMENSIONLESS
    size: Size | None = None

    @property
    def number(self) -> float | int | None:
        return None if isinstance(self.value, (str, tuple)) else self.value


@dataclass(eq=False, slots=True)
class Declared:
    """A variable before its type is known.

    `value` is read in `body`, unless `value_body` says that an argument of the caller replaced it; `default` is what the
    declaration itself says, which fixes the unit. `order` counts the primes of a state's derivative.
    """

    path: str
    name: str
    kind: VariableKind
    body: Body
    axes: tuple[tree.Expression, ...] = ()
    unit: str = ""
    default: tree.Expression | None = None
    default_draw: tree.Expression | None = None
    value: tree.Expression | None = None
    draw: tree.Expression | None = None
    value_body: Body | None = None
    draw_body: Body | None = None
    constraint: tree.Expression | None = None
    constraint_body: Body | None = None
    trainable: bool = False
    extent: Extent = ""
    order: int = 0
    place: int = 0  # its number among the statements of the body, for "`let` reads top down"
    span: Span | None = None
    given_at: Span | None = None
    side: str = ""  # "pre" or "post" for what the settings of a connection read as `pre.A`

    @property
    def reads_in(self) -> Body:
        return self.value_body or self.body

    @property
    def draws_in(self) -> Body:
        return self.draw_body or self.body


@dataclass(eq=False, slots=True)
class PopulationHere:
    path: str
    axis: Axis
    body: Body
    neuron: str
    own_axis: bool = True  # False for a type in place, which lies along its target's axis
    span: Span | None = None
    equations: list[tuple[written.Equation, Body]] = field(default_factory=lambda: _no_equations())
    updates: list[tuple[written.Update, Body]] = field(default_factory=lambda: _no_updates())
    spike: written.Spike | None = None
    noises: list[str] = field(default_factory=list[str])
    outputs: list[str] = field(default_factory=list[str])

    @property
    def instance(self) -> tuple[Axis, ...]:
        return self.body.instance


@dataclass(eq=False, slots=True)
class CircuitHere:
    """A part that is a circuit."""

    path: str
    axis: Axis | None
    body: Body
    span: Span | None = None


@dataclass(eq=False, slots=True)
class FunctionHere:
    """A part that is a function: of the spec (`body`), or built in (`arguments` are read in `caller`)."""

    path: str
    function: str
    caller: Body
    instance: tuple[Axis, ...]
    arguments: tuple[written.Argument, ...] = ()
    body: Body | None = None
    outputs: list[str] = field(default_factory=list[str])
    span: Span | None = None
    called: bool = False


@dataclass(eq=False, slots=True)
class GroupHere:
    """`axis` runs over the neurons of all members; `table` over the members themselves (the same axis where each is one neuron)."""

    path: str
    axis: Axis
    table: Axis
    members: tuple[Entry, ...]
    body: Body
    span: Span | None = None


@dataclass(eq=False, slots=True)
class GroupVariable:
    """`cells.v`: one variable of every member, end to end."""

    path: str
    group: GroupHere
    name: str
    members: tuple[Declared, ...]


@dataclass(eq=False, slots=True)
class ProjectionHere:
    """A connect statement of one round: its settings by name, each with the modifiers written at it."""

    path: str
    body: Body
    statement: written.Connect
    source: Declared | GroupVariable | GroupHere
    target: Declared | GroupVariable
    settings: dict[str, Setting] = field(default_factory=lambda: _no_settings())
    synapse: SynapseHere | None = None
    weight: Declared | None = None
    delay: Declared | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    value: tree.Expression | None
    modifiers: tuple[written.Modifier, ...]
    span: Span | None


@dataclass(eq=False, slots=True)
class SynapseHere:
    type: str
    body: Body
    input: str = ""
    output: str = ""
    equations: list[tuple[written.Equation, Body]] = field(default_factory=lambda: _no_equations())
    on: dict[str, list[tuple[written.Update, Body]]] = field(default_factory=lambda: _no_events())
    send: tuple[tree.Expression, Body] | None = None
    span: Span | None = None


@dataclass(eq=False, slots=True)
class PenaltyHere:
    name: str
    value: tree.Expression
    body: Body
    span: Span | None = None


@dataclass(eq=False, slots=True)
class Opaque:
    """Something that only a plugin which is not installed could tell more about; it is not judged.

    `members`: what a loop goes over, of a group with members of such a plugin.
    """

    name: str
    members: tuple[Entry, ...] = ()


Entry: TypeAlias = (
    Static
    | Declared
    | PopulationHere
    | CircuitHere
    | FunctionHere
    | GroupHere
    | GroupVariable
    | ProjectionHere
    | PenaltyHere
    | Opaque
)


@dataclass(eq=False, slots=True)
class Body:
    """The names of one instance of a template. A round of a `for` is a body inside the body around it.

    `instance` are the axes of the part arrays around it, `neuron` the population's axis inside a neuron.
    """

    path: str
    kind: BodyKind
    template: str
    instance: tuple[Axis, ...] = ()
    neuron: Axis | None = None
    names: dict[str, Entry] = field(default_factory=lambda: _no_names())
    spans: dict[str, Span | None] = field(default_factory=lambda: _no_spans())
    outer: Body | None = None
    sizes: dict[str, int] = field(
        default_factory=dict[str, int]
    )  # what size symbols are worth; one table for the whole circuit
    pre: Entry | None = None  # what `pre.A` and `post.A` read, in the settings of a connection
    post: Entry | None = None
    projection: ProjectionHere | None = None

    @property
    def around(self) -> tuple[Axis, ...]:
        """The axes that are never written here."""
        return self.instance if self.neuron is None else (*self.instance, self.neuron)

    def find(self, name: str) -> Entry | None:
        """Raises nothing: None where nothing in reach has the name."""
        body: Body | None = self
        while body is not None:
            if name in body.names:
                return body.names[name]
            body = body.outer
        return None

    def owner_of(self, name: str) -> Span | None:
        body: Body | None = self
        while body is not None:
            if name in body.names:
                return body.spans.get(name)
            body = body.outer
        return None

    def side(self, which: str) -> Entry | None:
        """What `pre` or `post` stands for."""
        body: Body | None = self
        while body is not None:
            found = body.pre if which == "pre" else body.post
            if found is not None:
                return found
            body = body.outer
        return None

    @property
    def connection(self) -> ProjectionHere | None:
        body: Body | None = self
        while body is not None:
            if body.projection is not None:
                return body.projection
            body = body.outer
        return None

    def reachable(self) -> Iterator[str]:
        body: Body | None = self
        while body is not None:
            yield from (name for name in body.names if "'" not in name)
            body = body.outer

    def dotted(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


# Empty collections with their types.


def _no_equations() -> list[tuple[written.Equation, Body]]:
    return []


def _no_updates() -> list[tuple[written.Update, Body]]:
    return []


def _no_events() -> dict[str, list[tuple[written.Update, Body]]]:
    return {}


def _no_settings() -> dict[str, Setting]:
    return {}


def _no_names() -> dict[str, Entry]:
    return {}


def _no_spans() -> dict[str, Span | None]:
    return {}


def path_of(entry: Entry) -> str:
    match entry:
        case Static():
            return ""
        case PenaltyHere(name=name) | Opaque(name=name):
            return name
        case _:
            return entry.path


def kind_of(entry: Entry) -> str:
    """What an entry is, in the author's words."""
    match entry:
        case Static():
            return "a number"
        case Declared(kind=kind):
            words = {"param": "parameter", "constant": "template argument"}
            word = words.get(kind, kind)
            return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
        case PopulationHere():
            return "a population"
        case CircuitHere() | FunctionHere():
            return "a part"
        case GroupHere() | GroupVariable():
            return "a group"
        case ProjectionHere():
            return "a connection"
        case PenaltyHere():
            return "a penalty"
        case Opaque():
            return "a name of a plugin"


def members_of(entry: Entry) -> Mapping[str, Entry]:
    """The names that may follow a dot after this entry."""
    match entry:
        case PopulationHere(body=body) | CircuitHere(body=body):
            return body.names
        case FunctionHere(body=body):
            return body.names if body is not None else {}
        case ProjectionHere(synapse=synapse, weight=weight, delay=delay):
            own: dict[str, Entry] = {}
            if weight is not None:
                own["weight"] = weight
            if delay is not None:
                own["delay"] = delay
            if synapse is not None:
                own.update(synapse.body.names)
            return own
        case _:
            return {}
