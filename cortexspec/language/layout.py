"""Line breaks: one statement a line; a line goes on inside ( ) and [ ] and after a comma, nowhere else."""

from dataclasses import dataclass, field

from lark import Token

_OPENING = {"LPAR": "RPAR", "LSQB": "RSQB"}


@dataclass(slots=True)
class Layout:
    """Follows the tokens and says which line breaks mean nothing."""

    opened: list[Token] = field(default_factory=list[Token])
    last: str = ""

    def skips(self, token: Token) -> bool:
        """A line break inside brackets or after a comma, or a separator after another. A `;` in brackets is none."""
        if token.type != "SEP":
            return False
        return (bool(self.opened) and token == "\n") or self.last in ("SEP", "COMMA")

    def passed(self, token: Token) -> None:
        """The parser took this token."""
        if token.type in _OPENING:
            self.opened.append(token)
        elif token.type in _OPENING.values() and self.opened:
            self.opened.pop()
        self.last = token.type

    def restart(self) -> None:
        """After a mistake, at the beginning of a statement."""
        self.opened.clear()
        self.last = "SEP"

    @property
    def at_statement(self) -> bool:
        """Whether the next token begins a statement or an item."""
        return not self.opened and self.last in ("", "SEP", "LBRACE")


class LineBreaksAnywhere:
    """Tells lark to find line breaks in every state of the parser; `Layout` drops those that mean nothing."""

    always_accept = ("SEP",)

    def process(self, stream: object) -> object:
        return stream
