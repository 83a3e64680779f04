"""Common slips in expressions, each with its repair: look-alike characters, other languages' operators, glued units."""

import re

from cortexspec.expressions.build import UNIT_HELP
from cortexspec.expressions.names import RESERVED, plain_power, raised_characters
from cortexspec.expressions.syntax_errors import Mistake, Slip, Surroundings, near_word
from cortexspec.units import UnitError, parse_unit

# Look-alikes from papers, word processors and other languages.
_INSTEAD = {
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "within", "→": "->", "←": "<-", "…": "..", "“": '"', "”": '"', "„": '"', "‘": '"', "’": "'",
    "′": "'", "″": "''", "∈": "in", "∧": "and", "∨": "or", "¬": "not", "∼": "~", "～": "~", "＝": "=", "（": "(",
    "）": ")", "，": ",", "：": ":", "；": ";", "√": "sqrt(...)", "∑": "sum(...)", "Σ": "sum(...)", "∞": "infinity",
    "°": "deg", "&": "and", "|": "or", "!": "not", "?": "where(condition, a, b)", "\\": "nothing: lines go on inside ( ) and [ ]",
    "{": "lists in brackets: [a, b]", "\u00a0": "an ordinary blank", "$": "nothing: names have no sigil",
}  # fmt: skip


def expression_slip(mistake: Mistake, around: Surroundings) -> Slip | None:
    """The slip at this place of an expression, where it is a known one."""
    return (
        _character(mistake, around)
        or _number(mistake, around)
        or _operator(mistake, around)
        or _word(mistake, around)
        or _line(mistake, around)
        or _product(mistake, around)
    )


def _character(mistake: Mistake, around: Surroundings) -> Slip | None:
    if mistake.kind != "character":
        return None
    character, rest = around.rest[:1], around.rest
    if rest.startswith('"""'):
        return Slip("CS102", "this doc string is never closed", 'close it with `"""`', length=3)
    if character == '"':
        return Slip("CS102", "this text is never closed", 'close it with `"` on the same line')
    if doubled := {"&&": "and", "||": "or"}.get(rest[:2]):
        return Slip("CS110", f"`{rest[:2]}` is not part of the language", f"write `{doubled}`", length=2)
    if raised_characters(character):
        return Slip(
            "CS103", f"`{character}` is a raised character, which formulas cannot have", "write powers with `^`"
        )
    if instead := _INSTEAD.get(character):
        help = f"write {instead}" if " " in instead else f"write `{instead}`"
        return Slip("CS110", f"`{character}` is not part of the language", help)
    if not (character.isprintable() and character.isascii()):
        return Slip("CS110", f"the character U+{ord(character or ' '):04X} is not part of the language")
    return Slip("CS110", f"`{character}` is not part of the language")


def _number(mistake: Mistake, around: Surroundings) -> Slip | None:
    if digits := re.search(r"(?<![\w.])([0-9]+)\.[ \t]*\Z", around.ahead):
        help = f"write `{digits[1]}.0` or `{digits[1]}`"
        return Slip("CS109", "a number does not end in a point", help, back=len(digits[0]), length=len(digits[1]) + 1)
    if pointed := re.match(r"\.[0-9]+", around.rest):
        return Slip("CS109", "a number begins with a digit", f"write `0{pointed[0]}`", length=len(pointed[0]))
    fraction = re.match("[0-9]+", around.rest)
    if fraction and re.search(r"(^|[^\w.\])'])\.\Z", around.ahead):
        help = f"write `0.{fraction.group()}`"
        return Slip("CS109", "a number begins with a digit", help, back=1, length=1 + len(fraction.group()))
    before = mistake.before
    if before is None or before.type != "NUMBER" or not around.word or around.word in ("if", "else"):
        return None
    return _word_after_number(str(before), around, gap=not around.ahead.endswith(str(before)))


def _word_after_number(number: str, around: Surroundings, gap: bool) -> Slip | None:
    word = around.word
    if raised_characters(word):
        return Slip("CS103", f"`{word}` has a raised or lowered character", f"write `{plain_power(word)}`")
    try:
        parse_unit(word)
    except UnitError as error:
        if gap or error.help:
            return Slip("CS104", f"`{word}` is not a unit of the language", error.help or UNIT_HELP)
        return Slip("CS101", f"`{number}{word}` leaves out the multiplication", f"write `{number}*{word}`")
    return Slip("CS104", "a unit stands one blank after its number, or none", f"write `{number} {word}`")


def _operator(mistake: Mistake, around: Surroundings) -> Slip | None:
    ahead, rest = around.ahead, around.rest
    if rest.startswith("*") and ahead.endswith("*"):
        return Slip("CS101", "`**` is not part of the language", "write `^` for a power", back=1, length=2)
    if dotted := re.search(r"\.\*[ \t]*\Z", ahead):
        help = "`*` is already elementwise, `@` is the matrix product"
        return Slip("CS101", "`.*` is not an operator", help, back=len(dotted[0]), length=2)
    if rest.startswith("/") and ahead.endswith("/"):
        help = "comments begin with `#`; a whole quotient is `floor(a/b)`"
        return Slip("CS101", "`//` is not part of the language", help, back=1, length=2)
    if re.match(r"=(?!=)", rest):
        if re.search(r"[-+*/:]\Z", ahead):
            message, help = f"`{ahead[-1]}=` is not part of the language", "write the whole change: `x <- x + e`"
            return Slip("CS101", message, help, back=1, length=2)
        if "COMPARE" in mistake.accepts and "EQUAL" not in mistake.accepts:
            return Slip("CS101", "`=` does not compare", "write `==`")
    if rest.startswith(">") and ahead.endswith("="):
        return Slip("CS101", "`=>` is not part of the language", "write `>=`", back=1, length=2)
    if rest.startswith("'"):
        help = 'texts stand in double quotes: "..."'
        return Slip("CS101", "`'` is a derivative and stands after a variable", help)
    return None


def _word(mistake: Mistake, around: Surroundings) -> Slip | None:
    word = around.word
    if word in ("if", "else"):
        return Slip("CS101", "there is no `if` in expressions", "write `where(condition, a, b)`")
    if str(mistake.before) == "if":
        back = len(around.ahead) - around.ahead.rfind("if")
        help = "write `where(condition, a, b)`"
        return Slip("CS101", "there is no `if` in expressions", help, back=back, length=2)
    if word in RESERVED and "NAME" in mistake.accepts:
        return Slip("CS106", f"`{word}` is a reserved word and cannot be a name", "choose another name")
    if raised_characters(word):
        message = f"`{word}` has a raised or lowered character, which names cannot have"
        return Slip("CS103", message, f"write `{plain_power(word)}`")
    return None


def _product(mistake: Mistake, around: Surroundings) -> Slip | None:
    """`τ v'`, `2 (a + b)`: formulas in print leave the sign of a product out."""
    ends, begins = re.search(r"[\w')\]][ \t]*\Z", around.ahead), mistake.kind in ("NAME", "NUMBER", "QUANTITY", "LPAR")
    if ends and begins and "STAR" in mistake.accepts and near_word(mistake, around) is None:
        if begun := re.fullmatch(r"[ \t]*(\w+)[ \t]+", around.line) if re.match(r"\w+[ \t]*=", around.rest) else None:
            return Slip(
                "CS101",
                "",
                f"`{begun[1]}` begins no statement: a value has its name by `let`, one that may be changed by `param`",
            )
        return Slip("CS101", "", "a product is written with `*`: `τ*v'`")
    return None


def _line(mistake: Mistake, around: Surroundings) -> Slip | None:
    if mistake.kind == "SEP" and re.search(r"[-+*/@^=<>~(\[][ \t]*\Z", around.ahead):
        return Slip("CS101", "", "a line goes on inside ( ) and [ ] and after a comma, nowhere else")
    if re.match(r"[+*/@^]|(and|or)\b", around.rest) and not around.line.strip():
        help = "a line goes on inside ( ) and [ ] and after a comma: put parentheses around the whole"
        return Slip("CS101", "a statement cannot begin with an operator", help)
    return None
