"""A lark parser that is fed token by token, knows what could have stood at a mistake, and can go on elsewhere.

It relies on lark's LALR tables and its interactive parser, which are not public: lark is pinned below 2, and
`tests/language/test_recovery.py` notices a change.
"""

# pyright: reportUnknownMemberType=false

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.parsers.lalr_analysis import Shift

from cortexspec.expressions.build import ParseNode
from cortexspec.expressions.syntax_errors import Mistake

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Mark:
    """The parser's stacks at one moment."""

    states: tuple[Any, ...]
    values: tuple[Any, ...]


class Reader:
    """One text on its way through one parser."""

    def __init__(self, lark: Lark, text: str):
        self.text = text
        self.before: Token | None = None
        self._interactive: Any = lark.parse_interactive(text)
        self._table: dict[Any, dict[str, tuple[Any, Any]]] = (
            self._interactive.parser_state.parse_conf.parse_table.states
        )
        self._mark = self.mark()

    def tokens(self) -> Iterator[Token]:
        """The tokens from here on. Which are possible follows the parser's state, so feed each before taking the next.

        Raises: Mistake at a character that begins no token.
        """
        try:
            for token in self._interactive.lexer_thread.lex(self._interactive.parser_state):
                yield self._whole_word(token)
        except UnexpectedCharacters as error:
            self._mark = self.mark()
            place = cast(int, error.pos_in_stream or 0)
            raise Mistake.at_character(error.line, error.column, place, self.before, self.accepts()) from None
        except UnexpectedToken as error:  # a token of another place of the grammar
            self._mark = self.mark()
            raise Mistake.at_token(cast(Token, error.token), self.before, self.accepts()) from None

    def _whole_word(self, token: Token) -> Token:
        """Where no name may stand, lark would read `orange` as `or` and `ange`."""
        end = token.end_pos or 0
        rest = _WORD.match(self.text, end)
        if rest and token.type not in ("NAME", "NUMBER", "QUANTITY") and token[-1:].isalpha():
            self._mark = self.mark()
            whole = Token.new_borrow_pos("NAME", self.text[token.start_pos : rest.end()], token)
            raise Mistake.at_token(whole, self.before, self.accepts())
        return token

    def feed(self, token: Token) -> ParseNode | None:
        """Give the parser one token; the end token gives the tree.

        Raises: Mistake where the token does not fit.
        """
        self._mark = self.mark()
        try:
            result = self._interactive.feed_token(token)
        except UnexpectedToken as error:
            raise Mistake.at_token(cast(Token, error.token), self.before, self.accepts()) from None
        self.before = token
        return result

    def finish(self) -> ParseNode:
        """The tree of the whole text.

        Raises: Mistake where the text ends too early.
        """
        last = self.before
        end = Token.new_borrow_pos("$END", "", last) if last else Token("$END", "", 0, 1, 1)
        tree = self.feed(end)
        assert tree is not None
        return tree

    def mark(self) -> Mark:
        """Where the parser is now, to come back to."""
        state = self._interactive.parser_state
        return Mark(tuple(state.state_stack), tuple(state.value_stack))

    def return_to(self, mark: Mark, offset: int) -> None:
        """Go on at another place of the text as if the parser were at the mark."""
        state = self._interactive.parser_state
        state.state_stack[:] = mark.states
        state.value_stack[:] = mark.values
        counter = self._interactive.lexer_thread.state.line_ctr
        counter.char_pos = offset
        counter.line = self.text.count("\n", 0, offset) + 1
        counter.line_start_pos = self.text.rfind("\n", 0, offset) + 1
        counter.column = offset - counter.line_start_pos + 1
        self._interactive.lexer_thread.state.last_token = None

    def accepts(self) -> set[str]:
        """The kinds of token that could have stood where the last one was tried."""
        return {kind for kind in self._table[self._mark.states[-1]] if kind.isupper() and self._could_shift(kind)}

    def _could_shift(self, kind: str) -> bool:
        """Walk the table with states alone: do the reductions that this token asks for end in a shift?"""
        states = list(self._mark.states)
        while True:
            action = self._table[states[-1]].get(kind)
            if action is None:
                return False
            step, argument = action
            if step is Shift:
                return True
            size = len(argument.expansion)
            if size:
                del states[-size:]
            _, goto = self._table[states[-1]][argument.origin.name]
            states.append(goto)
