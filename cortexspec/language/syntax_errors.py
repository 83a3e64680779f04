"""Mistakes of statements and items, in the author's words. Expressions have their own."""

import re
from difflib import get_close_matches

from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions.build import Place
from cortexspec.expressions.slips import expression_slip
from cortexspec.expressions.syntax_errors import Group, Mistake, Slip, Surroundings, explain
from cortexspec.schema.words import ITEM_WORDS, STATEMENT_WORDS

_STATEMENT_KINDS = frozenset(word.upper() for word in STATEMENT_WORDS) | {"FOR"}
_ITEM_KINDS = frozenset(word.upper() for word in ITEM_WORDS) | {"DOC"}
_EXPRESSION_KINDS = frozenset({"NAME", "NUMBER", "QUANTITY", "STRING", "LPAR", "LSQB", "MINUS"})

_GROUPS = (
    Group(frozenset({"PARAM", "LET"}), _STATEMENT_KINDS | _EXPRESSION_KINDS, "a statement"),
    Group(frozenset({"NEURON", "CIRCUIT"}), _ITEM_KINDS, "use, neuron, synapse, function, circuit or experiment"),
    Group(frozenset({"TRAINABLE", "TILDE"}), frozenset({"TRAINABLE", "TILDE", "IN", "EVERY", "PER"}), "a modifier"),
)

# What stands behind the first word of a misspelt statement.
_AFTER_A_WORD = ("NAME", "STRING", "LBRACE", "QUANTITY", "NUMBER")

# What authors of other languages write, and what to write here.
_FOREIGN = {
    "if": "`where(condition, a, b)` in an expression, a `variant` in an experiment",
    "def": "`function`",
    "fn": "`function`",
    "class": "`neuron`, `synapse` or `circuit`",
    "import": "`use`",
    "include": "`use`",
    "const": "`let`",
    "var": "`let`",
    "parameter": "`param`",
    "parameters": "`param`",
    "model": "`neuron` or `circuit`",
    "network": "`circuit`",
    "block": "`part`",
    "return": "`output`",
    "assert": "`claim`",
}


def explain_statement(mistake: Mistake, text: str, place: Place, in_block: bool) -> Diagnostic:
    """The diagnostic for a place in a .cortex text where reading stopped."""

    def find(mistake: Mistake, around: Surroundings) -> Slip | None:
        return _statement_slip(mistake, around, in_block) or expression_slip(mistake, around) or _comma(around)

    return explain(mistake, text, place, find, _GROUPS)


def _statement_slip(mistake: Mistake, around: Surroundings, in_block: bool) -> Slip | None:
    statement = re.split(r"[;{}\n]", around.ahead)[-1].lstrip()
    return (
        _place(mistake, around, statement, in_block)
        or _first_word(mistake, around, statement, in_block)
        or _header(mistake, around, statement)
    )


def _place(mistake: Mistake, around: Surroundings, statement: str, in_block: bool) -> Slip | None:
    if mistake.kind == "RBRACE" and not in_block:
        return Slip("CS102", "this `}` closes nothing", "remove it, or open its block with `{`")
    if mistake.kind == "DOC" and in_block:
        message = "a doc string stands before an item, not inside a block"
        return Slip("CS101", message, "write a comment: `# ...`", length=3)
    if not statement and not in_block and around.word in STATEMENT_WORDS:
        help = "open one: `neuron NAME {`, `circuit NAME {`, `experiment NAME {`"
        return Slip("CS105", f"`{around.word}` stands inside an item", help)
    return None


def _first_word(mistake: Mistake, around: Surroundings, statement: str, in_block: bool) -> Slip | None:
    """A statement that begins with a word that begins none, or with one that cannot be a name."""
    words = STATEMENT_WORDS if in_block else ITEM_WORDS
    first = statement.strip() or around.word
    back, length = (len(statement), len(first)) if statement else (0, 0)
    if first in STATEMENT_WORDS and statement and mistake.kind in ("EQUAL", "UPDATE", "DOT", "PRIME"):
        message = f"`{first}` begins a statement and cannot begin an equation"
        return Slip("CS106", message, "choose another name", back, length)
    if not re.fullmatch(r"\w+", first) or first in words or mistake.kind not in _AFTER_A_WORD:
        return None
    if first in _FOREIGN:
        return Slip("CS101", f"`{first}` is not a word of the language", f"write {_FOREIGN[first]}", back, length)
    if near := get_close_matches(first, words, 1, 0.7):
        message = f"`{first}` begins no {'statement' if in_block else 'item'}"
        return Slip("CS101", message, f"did you mean `{near[0]}`?", back, length)
    return None


def _header(mistake: Mistake, around: Surroundings, statement: str) -> Slip | None:
    if statement.startswith("spike") and around.word in ("if", "at", "where"):
        return Slip("CS101", f"`spike {around.word}` is not part of the language", "write `spike when v > θ`")
    if statement.startswith("connect") and "ARROW" in mistake.accepts and mistake.kind != "$END":
        return Slip("CS101", "", "a connection is written `connect source -> target`")
    if statement.startswith(("population", "part")) and mistake.kind == "LSQB" and "LPAR" in mistake.accepts:
        type_ = re.search(r"(\w+)[ \t]*\Z", statement)
        help = f"the size stands behind the name: `NAME[n] : {type_[1] if type_ else 'TYPE'}`"
        return Slip("CS101", "", help)
    if statement.startswith(("input", "param", "state", "output", "attribute")) and re.match(r"1\b", around.rest):
        if re.search(r":[ \t]*\Z", statement):
            return Slip("CS101", "", "a pure number has no unit: leave the colon and the 1 out")
    formal = re.search(r"\([^()]*?(\w+)[ \t]*\Z", statement)
    if mistake.kind == "EQUAL" and mistake.accepts == frozenset({"COLON"}) and formal:
        return Slip(
            "CS101",
            "",
            f"say what it is: `{formal[1]}: int = ...`, `{formal[1]}: real = ...` or `{formal[1]}: ms = ...`",
        )
    if mistake.kind == "SEP" and "LBRACE" in mistake.accepts and "SEP" not in mistake.accepts:
        return Slip("CS101", "", "open the block on the same line: `{`")
    return None


def _comma(around: Surroundings) -> Slip | None:
    if re.search(r",[ \t]*(#[^\n]*)?\n\s*[^\n]*\Z", around.ahead):
        return Slip("CS101", "", "the comma at the end of the line before makes this line part of that statement")
    return None
