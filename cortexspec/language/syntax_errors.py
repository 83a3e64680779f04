"""Mistakes of statements and items, in the author's words. Expressions have their own."""

import re
from difflib import get_close_matches

from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions.build import Place
from cortexspec.expressions.syntax_errors import Group, Mistake, Slip, explain
from cortexspec.schema.words import ITEM_WORDS, STATEMENT_WORDS

_STATEMENT_KINDS = frozenset(word.upper() for word in STATEMENT_WORDS) | {"FOR"}
_ITEM_KINDS = frozenset(word.upper() for word in ITEM_WORDS) | {"DOC"}
_EXPRESSION_KINDS = frozenset({"NAME", "NUMBER", "QUANTITY", "STRING", "LPAR", "LSQB", "MINUS"})

_GROUPS = (
    Group(frozenset({"PARAM", "LET"}), _STATEMENT_KINDS | _EXPRESSION_KINDS, "a statement"),
    Group(frozenset({"NEURON", "CIRCUIT"}), _ITEM_KINDS, "use, neuron, synapse, function, circuit or experiment"),
    Group(frozenset({"TRAINABLE", "TILDE"}), frozenset({"TRAINABLE", "TILDE", "IN", "EVERY", "PER"}), "a modifier"),
)

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
    return explain(mistake, text, place, lambda found, whole: _slip(found, whole, in_block), _GROUPS)


def _slip(mistake: Mistake, text: str, in_block: bool) -> Slip | None:
    ahead = text[: mistake.offset]
    statement = re.split(r"[;{}\n]", ahead)[-1].lstrip()
    word = _word_at(text, mistake.offset)
    first = _word_at(statement or text[mistake.offset :], 0)
    return (
        _slip_of_place(mistake, statement, word, in_block)
        or _slip_of_first_word(mistake, statement, first, in_block)
        or _slip_of_header(mistake, statement, word)
        or _slip_of_comma(ahead)
    )


def _word_at(text: str, offset: int) -> str:
    match = re.compile(r"\w+").match(text, offset)
    return match.group() if match else ""


def _slip_of_place(mistake: Mistake, statement: str, word: str, in_block: bool) -> Slip | None:
    if mistake.kind == "RBRACE" and not in_block:
        return "CS102", "this `}` closes nothing", "remove it, or open its block with `{`", 1
    if mistake.kind == "DOC" and in_block:
        return "CS101", "a doc string stands before an item, not inside a block", "write a comment: `# ...`", 3
    if not statement and not in_block and word in STATEMENT_WORDS:
        help = "open one: `neuron NAME {`, `circuit NAME {`, `experiment NAME {`"
        return "CS105", f"`{word}` stands inside an item", help, 0
    return None


def _slip_of_first_word(mistake: Mistake, statement: str, first: str, in_block: bool) -> Slip | None:
    """A statement that begins with a word that begins none, or with one that cannot be a name."""
    words = STATEMENT_WORDS if in_block else ITEM_WORDS
    if first in STATEMENT_WORDS and statement.strip() == first and mistake.kind in ("EQUAL", "UPDATE", "DOT", "PRIME"):
        return "CS106", f"`{first}` begins a statement and cannot begin an equation", "choose another name", 0
    if not first or first in words or (statement.strip() not in ("", first)):
        return None
    if mistake.kind not in ("NAME", "STRING", "LBRACE", "QUANTITY", "NUMBER"):
        return None
    if first in _FOREIGN:
        return "CS101", f"`{first}` is not a word of the language", f"write {_FOREIGN[first]}", 0
    near = get_close_matches(first, words, 1, 0.7)
    if near:
        return "CS101", f"`{first}` begins no {'statement' if in_block else 'item'}", f"did you mean `{near[0]}`?", 0
    return None


def _slip_of_header(mistake: Mistake, statement: str, word: str) -> Slip | None:
    if statement.startswith("spike") and word in ("if", "at", "where"):
        return "CS101", f"`spike {word}` is not part of the language", "write `spike when v > θ`", 0
    if statement.startswith("connect") and "ARROW" in mistake.accepts and mistake.kind != "$END":
        return "CS101", "a connection needs an arrow", "write `connect source -> target`", 0
    if mistake.kind == "SEP" and mistake.accepts & {"LBRACE"}:
        return "CS101", "a block is missing", "open it on the same line: `{`", 0
    return None


def _slip_of_comma(ahead: str) -> Slip | None:
    if re.search(r",[ \t]*(#[^\n]*)?\n\s*$", ahead):
        return "CS101", "", "the comma at the end of the line before makes this line part of that statement", 0
    return None
