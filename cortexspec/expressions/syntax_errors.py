"""What the parser could not read, in the author's words: expected, found, and the repair of common slips."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lark import Token

from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions.build import UNIT_HELP, Place
from cortexspec.expressions.names import RESERVED, plain_power, raised_characters
from cortexspec.units import UnitError, parse_unit

_START = frozenset({"NAME", "NUMBER", "QUANTITY", "STRING", "LPAR", "LSQB", "MINUS"})
_OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "AT", "CIRCUMFLEX", "COMPARE", "AND", "OR", "DOT", "DOTS", "PRIME"}
)

_WORDS = {
    "NAME": "a name",
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

# Look-alikes from papers, word processors and other languages.
_INSTEAD = {
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "within", "→": "->", "←": "<-", "…": "..", "“": '"', "”": '"', "„": '"', "‘": '"', "’": "'",
    "′": "'", "″": "''", "∈": "in", "∧": "and", "∨": "or", "¬": "not", "∼": "~", "～": "~", "＝": "=", "（": "(",
    "）": ")", "，": ",", "：": ":", "；": ";", "√": "sqrt(...)", "∑": "sum(...)", "Σ": "sum(...)", "∞": "infinity",
    "&": "and", "|": "or", "!": "not", "?": "where(condition, a, b)", "\\": "nothing: lines go on inside ( ) and [ ]",
    "{": "lists in brackets: [a, b]", "\u00a0": "an ordinary blank", "$": "nothing: names have no sigil",
}  # fmt: skip


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


Slip = tuple[str, str, str, int]  # code, message (or "" for the plain one), help, how many characters to underline
SlipFinder = Callable[["Mistake", str], "Slip | None"]


def expected(accepts: frozenset[str], groups: tuple[Group, ...] = ()) -> str:
    """What could have stood there, shortest telling: "expected an expression", "expected an operator or `)`"."""
    left = set(accepts)
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


def _no_slip(mistake: Mistake, text: str) -> Slip | None:
    return None


def explain(
    mistake: Mistake, text: str, place: Place, find_slip: SlipFinder = _no_slip, groups: tuple[Group, ...] = ()
) -> Diagnostic:
    """The diagnostic for a place where reading stopped. `text` is all of the text that was read."""
    slip = _slip(mistake, text) or find_slip(mistake, text)
    code, message, help, length = slip or ("CS101", "", "", 0)
    found = mistake.found or text[mistake.offset : mistake.offset + 1]
    if not message:
        message = _plain_message(mistake, found)
    shown = length or (1 if mistake.kind in ("SEP", "$END") else max(1, len(found.split("\n")[0])))
    span = place.span(mistake.line, mistake.column, mistake.line, mistake.column + shown)
    return Diagnostic(code, message, span, expected(mistake.accepts, groups), help)


def _plain_message(mistake: Mistake, found: str) -> str:
    if mistake.kind == "$END":
        return "the text ends too early"
    if mistake.kind == "SEP":
        return "the statement ends too early"
    return f"`{found.strip() or found}` does not fit here"


def _slip(mistake: Mistake, text: str) -> Slip | None:
    """A known slip at this place: its code, message, help and length."""
    rest = text[mistake.offset :]
    ahead = text[: mistake.offset]
    word_match = re.match(r"\w[\w\u0300-\u036f]*", rest)
    word = word_match.group() if word_match else ""
    return (
        _slip_of_character(mistake, rest)
        or _slip_of_number(mistake, ahead, rest, word)
        or _slip_of_operator(ahead, rest, mistake)
        or _slip_of_word(mistake, word)
        or _slip_of_line(mistake, ahead, rest)
    )


def _slip_of_character(mistake: Mistake, rest: str) -> Slip | None:
    if mistake.kind != "character":
        return None
    character = rest[:1]
    if rest.startswith('"""'):
        return "CS102", "this doc string is never closed", 'close it with `"""`', 3
    if character == '"':
        return "CS102", "this text is never closed", 'close it with `"` on the same line', 1
    if re.match(r"\.[0-9]", rest):
        return "CS109", "a number begins with a digit", f"write `0{_take(r'[.][0-9]+', rest)}`", 0
    doubled = {"&&": "and", "||": "or"}.get(rest[:2])
    if doubled:
        return "CS110", f"`{rest[:2]}` is not part of the language", f"write `{doubled}`", 2
    if raised_characters(character):
        return "CS103", f"`{character}` is a raised character, which formulas cannot have", "write powers with `^`", 1
    instead = _INSTEAD.get(character)
    if instead:
        help = f"write {instead}" if " " in instead else f"write `{instead}`"
        return "CS110", f"`{character}` is not part of the language", help, 1
    if not (character.isprintable() and character.isascii()):
        return "CS110", f"the character U+{ord(character):04X} is not part of the language", "", 1
    return "CS110", f"`{character}` is not part of the language", "", 1


def _slip_of_number(mistake: Mistake, ahead: str, rest: str, word: str) -> Slip | None:
    before = mistake.before
    if digits := re.search(r"(?<![\w.])([0-9]+)\.$", ahead):
        return "CS109", "a number does not end in a point", f"write `{digits[1]}.0` or `{digits[1]}`", 0
    if re.search(r"(^|[^\w.\])'])\.$", ahead) and rest[:1].isdigit():
        return "CS109", "a number begins with a digit", f"write `0.{_take('[0-9]+', rest)}`", 0
    if before is None or before.type not in ("NUMBER", "QUANTITY"):
        return None
    gap = ahead[before.end_pos or 0 :]
    if not word or before.type != "NUMBER":
        return None
    if raised_characters(word):
        help = f"write `{plain_power(word)}`"
        return "CS103", f"`{word}` has a raised or lowered character", help, len(word)
    if _is_unit(word) and gap:
        help = f"write `{before} {word}`"
        return "CS104", "a unit stands one blank after its number, or none", help, len(word)
    near = _unit_help(word)
    if gap or near != UNIT_HELP:
        return "CS104", f"`{word}` is not a unit of the language", near, len(word)
    return "CS101", f"`{before}{word}` leaves out the multiplication", f"write `{before}*{word}`", len(word)


def _is_unit(word: str) -> bool:
    try:
        parse_unit(word)
    except UnitError:
        return False
    return True


def _unit_help(word: str) -> str:
    try:
        parse_unit(word)
    except UnitError as error:
        return error.help or UNIT_HELP
    return ""


def _slip_of_operator(ahead: str, rest: str, mistake: Mistake) -> Slip | None:
    if rest.startswith("*") and ahead.endswith("*"):
        return "CS101", "`**` is not part of the language", "write `^` for a power", 0
    if re.search(r"\.\*\s*$", ahead):
        return "CS101", "`.*` is not an operator", "`*` is already elementwise, `@` is the matrix product", 0
    if rest.startswith("/") and ahead.endswith("/"):
        return "CS101", "`//` is not part of the language", "comments begin with `#`; whole parts are `floor(a/b)`", 0
    if re.match(r"=(?!=)", rest) and re.search(r"[-+*/:]$", ahead):
        return "CS101", f"`{ahead[-1]}=` is not part of the language", "write the whole change: `x <- x + e`", 0
    if re.match(r"=(?!=)", rest) and "COMPARE" in mistake.accepts:
        return "CS101", "`=` does not compare", "write `==`", 1
    if rest.startswith(">") and ahead.endswith("="):
        return "CS101", "`=>` is not part of the language", "write `>=`", 0
    if rest.startswith("'"):
        return "CS101", "`'` is a derivative and stands after a variable", 'texts stand in double quotes: "..."', 0
    if rest.startswith("{") and "LSQB" in mistake.accepts and "LBRACE" not in mistake.accepts:
        return "CS101", "`{` does not fit here", "lists stand in brackets: [a, b]", 0
    return None


def _slip_of_word(mistake: Mistake, word: str) -> Slip | None:
    if mistake.before is not None and str(mistake.before) in ("if", "else"):
        return "CS101", "there is no `if` in expressions", "write `where(condition, a, b)`", 0
    if word in ("if", "else"):
        return "CS101", "there is no `if` in expressions", "write `where(condition, a, b)`", 0
    if word in RESERVED and "NAME" in mistake.accepts:
        return "CS106", f"`{word}` is a reserved word and cannot be a name", "choose another name", 0
    if raised_characters(word):
        help = f"write `{plain_power(word)}`"
        return "CS103", f"`{word}` has a raised or lowered character, which names cannot have", help, len(word)
    return None


def _slip_of_line(mistake: Mistake, ahead: str, rest: str) -> Slip | None:
    if mistake.kind == "SEP" and re.search(r"[-+*/@^=<>~(\[]\s*$", ahead):
        help = "a line goes on inside ( ) and [ ] and after a comma, nowhere else"
        return "CS101", "the statement ends too early", help, 0
    if re.match(r"[+*/@^]|(and|or)\b", rest) and not ahead.rpartition("\n")[2].strip():
        help = "a line goes on inside ( ) and [ ] and after a comma: put parentheses around the whole"
        return "CS101", "a statement cannot begin with an operator", help, 0
    return None


def _take(pattern: str, text: str) -> str:
    match = re.match(pattern, text)
    return match.group() if match else ""
