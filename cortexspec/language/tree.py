"""The syntax tree of one file: every token, every comment, where each stands."""

import re
from dataclasses import dataclass

from cortexspec.expressions.build import ParseTree


@dataclass(frozen=True, slots=True)
class Comment:
    """`# ...` up to the end of its line; `offset` counts characters from the beginning of the text."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class SyntaxTree:
    """A text that parses. `root` is the grammar's `start` with all of its tokens; comments stand beside it."""

    source: str
    text: str
    root: ParseTree
    comments: tuple[Comment, ...]


_TEXT_OR_COMMENT = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*')


def comments_of(text: str) -> tuple[Comment, ...]:
    """The comments of a text that parses."""
    matches = _TEXT_OR_COMMENT.finditer(text)
    return tuple(Comment(one.group().rstrip(), one.start()) for one in matches if one.group().startswith("#"))
