"""What may be a name. Names are NFKC-normalised, as Python does, so that `ϵ` and `ε` are not two things in one spec."""

import re
import unicodedata

# Reserved everywhere; the words that begin statements are special only where a statement begins.
RESERVED = frozenset({"per", "trainable", "in", "for", "every", "and", "or", "not"})

_NAME = re.compile(r"[^\W\d][\w\u0300-\u036f]*")


def normalize_name(text: str) -> str:
    """The name that a written word means."""
    return unicodedata.normalize("NFKC", text)


def raised_characters(text: str) -> str:
    """The superscript and subscript characters of a word: NFKC would turn `κ²` into the name `κ2`, a wrong equation."""
    return "".join(c for c in text if unicodedata.decomposition(c).startswith(("<super>", "<sub>")))


def plain_power(word: str) -> str:
    """How a word with superscripts was meant: `κ²` is `κ^2`, `x₁` is `x1`."""
    out = ""
    for character in word:
        decomposition = unicodedata.decomposition(character)
        raised = decomposition.startswith("<super>") and not out.endswith("^")
        out += ("^" if raised and "^" not in out else "") + unicodedata.normalize("NFKC", character)
    return out


def name_problem(name: str) -> str:
    """Why a text cannot be a name of a spec, or "" where it can."""
    if raised_characters(name):
        return f"`{name}` has a raised or lowered character; write `{plain_power(name)}`"
    if not _NAME.fullmatch(name):
        return f"`{name}` is not a name"
    if name in RESERVED:
        return f"`{name}` is a reserved word"
    if normalize_name(name) != name:
        return f"`{name}` is not in Unicode's composed form (NFKC); write `{normalize_name(name)}`"
    return ""
