"""What the parser could not read, in the author's words: what was found and what could have stood there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from lark import Token

from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions.build import Place

_START = frozenset({"NAME", "NUMBER", "QUANTITY", "STRING", "LPAR", "LSQB", "MINUS"})
_OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "AT", "CIRCUMFLEX", "COMPARE", "AND", "OR", "DOT", "DOTS", "PRIME"}
)

_WORDS = {
    "NAME": "a name",
    "PATH": "a name",
    "STRING": "a text in double quotes",
    "UNIT": "a unit",
    "NUMBER": "a number",
    "QUANTITY": "a number",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "TILDE": "`~`",
    "MINUS": "`-`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "DOT": "`.`",
    "PRIME": "`'`",
    "COMPARE": "a comparison",
    "ARROW": "`->`",
    "UPDATE": "`<-`",
    "DOTS": "`..`",
    "SEP": "the end of the statement",
    "DOC": "a doc string",
    "$END": "the end",
}


@dataclass(frozen=True)
class Mistake(Exception):
    """A place where reading stopped: the text found there, the token before it, and what could have stood there."""

    line: int
    column: int
    offset: int
    found: str
    kind: str
    before: Token | None
    accepts: frozenset[str]

    @staticmethod
    def at_token(token: Token, before: Token | None, accepts: set[str]) -> "Mistake":
        line, column, offset = token.line or 1, token.column or 1, token.start_pos or 0
        if token.type == "$END" and before is not None:
            line, column, offset = before.end_line or 1, before.end_column or 1, before.end_pos or 0
        return Mistake(line, column, offset, str(token), token.type, before, frozenset(accepts))

    @staticmethod
    def at_character(line: int, column: int, offset: int, before: Token | None, accepts: set[str]) -> "Mistake":
        return Mistake(line, column, offset, "", "character", before, frozenset(accepts))


@dataclass(frozen=True, slots=True)
class Group:
    """Kinds of token that go by one phrase where all of `sign` are among those that fit."""

    sign: frozenset[str]
    kinds: frozenset[str]
    phrase: str


@dataclass(frozen=True, slots=True)
class Slip:
    """A common mistake that deserves its own words. Without a message, only the help is added to the plain one.

    `back` and `length` move the underlined place: so many characters before the mistake, so many long.
    """

    code: str
    message: str = ""
    help: str = ""
    back: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The text around a mistake, no more than a few lines, so that looking for slips costs the same in any file."""

    ahead: str
    rest: str
    word: str
    line: str

    @staticmethod
    def of(mistake: Mistake, text: str) -> "Surroundings":
        ahead, rest = text[max(0, mistake.offset - 400) : mistake.offset], text[mistake.offset : mistake.offset + 400]
        word = _WORD.match(rest)
        return Surroundings(ahead, rest, word.group() if word else "", ahead.rpartition("\n")[2])


_WORD = re.compile(r"[^\W\d][\w\u0300-\u036f]*")
SlipFinder = Callable[[Mistake, Surroundings], Slip | None]


def expected(accepts: frozenset[str], groups: tuple[Group, ...] = ()) -> str:
    """What could have stood there, shortest telling: "expected an expression", "expected an operator or `)`"."""
    left = set(accepts) - {"PATH"}  # where one may stand, so may a name
    words: list[str] = []
    for group in groups:
        if group.sign <= left:
            words.append(group.phrase)
            left -= group.kinds
    if {"NAME", "NUMBER", "LPAR"} <= left:
        words.append("an expression")
        left -= _START | {"NOT"}
    elif {"PLUS", "STAR", "SLASH"} <= left or {"DOT", "PRIME"} <= left:
        words.append("an operator")
        left -= _OPERATORS | ({"LPAR", "LSQB"} if "PRIME" in left else set())
    words += sorted({_word(kind) for kind in left}, key=lambda word: (word.startswith("the end"), word))
    return "expected " + _either(words) if words else ""


def _word(kind: str) -> str:
    return _WORDS.get(kind, f"`{kind.lower()}`")


def _either(words: list[str]) -> str:
    if len(words) > 6:
        words = [*words[:5], "another word that may stand here"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def explain(
    mistake: Mistake, text: str, place: Place, find_slip: SlipFinder, groups: tuple[Group, ...] = ()
) -> Diagnostic:
    """The diagnostic for a place where reading stopped. `text` is all of the text that was read."""
    around = Surroundings.of(mistake, text)
    slip = find_slip(mistake, around) or near_word(mistake, around) or Slip("CS101")
    found = mistake.found or around.rest[:1]
    shown = slip.length or (1 if mistake.kind in ("SEP", "$END") else max(1, len(found.split("\n")[0])))
    column = max(1, mistake.column - slip.back)
    span = place.span(mistake.line, column, mistake.line, column + shown)
    if slip.message:
        return Diagnostic(slip.code, slip.message, span, "", slip.help)
    return Diagnostic(slip.code, _plain_message(mistake, found), span, expected(mistake.accepts, groups), slip.help)


def near_word(mistake: Mistake, around: Surroundings) -> Slip | None:
    """A word of the language, misspelt: `refractry`, `fom`."""
    words = [kind.lower() for kind in mistake.accepts if kind.isalpha() and kind not in _WORDS and kind != "UPDATE"]
    near = get_close_matches(around.word, words, 1, 0.7) if around.word else []
    return Slip("CS101", "", f"did you mean `{near[0]}`?") if near else None


def _plain_message(mistake: Mistake, found: str) -> str:
    if mistake.kind == "$END":
        return "the text ends too early"
    if mistake.kind == "SEP":
        return "the statement ends too early"
    return f"`{found.strip() or found}` does not fit here"
