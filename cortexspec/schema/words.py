"""The words that begin a statement. They are special there and nowhere else."""

import re

from cortexspec.expressions import tree
from cortexspec.expressions.print import print_equation_side

DECLARING = ("param", "state", "input", "output", "let")
STATEMENT_WORDS = frozenset(
    {
        *DECLARING, "population", "part", "group", "attribute", "spike", "on", "send", "noise", "connect", "start",
        "remove", "penalty", "measure", "stimulus", "simulate", "train", "vary", "variant", "claim",
    }
)  # fmt: skip
ITEM_WORDS = frozenset({"use", "neuron", "synapse", "function", "circuit", "experiment"})


def opening_word(expression: tree.Expression) -> str:
    """The word of the statement language that the expression begins with when it stands first in a statement, or ""."""
    word = re.match(r"\w*", print_equation_side(expression))
    return word.group() if word and word.group() in STATEMENT_WORDS else ""


def declared(expression: tree.Expression) -> tuple[str, tuple[tree.Expression, ...]] | None:
    """The name and the axes that an expression declares where a declaration stands: `v`, `v'`, `P[cells, cells]`."""
    match expression:
        case tree.Name(name=name):
            return name, ()
        case tree.Derivative(operand=tree.Name(name=name), order=order):
            return name + "'" * order, ()
        case tree.Index(operand=tree.Name() | tree.Derivative(operand=tree.Name()) as operand, arguments=arguments):
            axes = tuple(argument.value for argument in arguments if argument.value is not None and not argument.name)
            inner = declared(operand)
            return (inner[0], axes) if inner and len(axes) == len(arguments) else None
        case _:
            return None
