"""Text to syntax tree and to Spec, with every mistake of the file in one run.

At a mistake the parser goes back to the beginning of the statement, the text goes on behind it, and reading continues
as if the statement had not been there. The tree of a file with mistakes is never used.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from lark import Lark, Token

import cortexspec.expressions
from cortexspec.diagnostics import Diagnostic, Note
from cortexspec.expressions.build import ParseTree, Place, subtree
from cortexspec.expressions.grammar import open_grammar
from cortexspec.expressions.reader import Mark, Reader
from cortexspec.expressions.syntax_errors import Mistake
from cortexspec.language.layout import Layout, LineBreaksAnywhere
from cortexspec.language.syntax_errors import explain_statement
from cortexspec.language.to_spec import build_spec
from cortexspec.language.tree import SyntaxTree, comments_of
from cortexspec.schema.placement import DEEPEST_BLOCK, misplaced
from cortexspec.schema.spec import Spec
from cortexspec.schema.words import ITEM_WORDS, STATEMENT_WORDS

# More than the longest spec; reading stays within a few seconds.
LONGEST = 1_000_000
# After so many mistakes the rest says nothing new.
MOST_MISTAKES = 100

# What fits where an item begins inside a block: nothing but the brace that is missing.
_MISSING_BRACE = frozenset({"RBRACE"})

_ITEM = re.compile(rf'(?:"""[\s\S]*?"""\s*)?(?:{"|".join(sorted(ITEM_WORDS))})[ \t]+["\w]')
# Headers that any block may have.
_ANY_LOOP = (("FOR", "for"), ("NAME", "_"), ("IN", "in"), ("NAME", "_"))
_ANY_CIRCUIT = (("CIRCUIT", "circuit"), ("NAME", "_"))

_SURROGATE = re.compile("[\ud800-\udfff]")
_SCAN = re.compile(r'#[^\n]*|"""[\s\S]*?"""|"[^"\n]*"|[^\S\n]+|\w+|.|\n', re.DOTALL)
_STATEMENT_START = re.compile(rf"[ \t]*(?:(?:{'|'.join(sorted(STATEMENT_WORDS | ITEM_WORDS))})\b(?!\s*[=,)\]])|[}}])")

# A line that is a statement by itself; in brackets that are open it could only be a named argument after a missing comma.
_EQUATION = re.compile(r"[\w.]+'*[ \t]*(?:=(?!=)|<-)")


@cache
def _parser() -> Lark:
    expressions = Path(cortexspec.expressions.__path__[0])
    return open_grammar(Path(__file__).with_name("grammar.lark"), "start", expressions, LineBreaksAnywhere())


def parse_spec(text: str, source: str = "<text>") -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The Spec of a .cortex text, and everything wrong with the text. Never raises for what a text says.

    The Spec is None where the text does not parse; misplaced statements (CS105, CS107) leave a Spec, so that a
    caller can go on and find more.
    """
    tree, diagnostics = parse_tree(text, source)
    if tree is None:
        return None, diagnostics
    spec, diagnostics = build_spec(tree)
    if diagnostics:
        return None, diagnostics
    return spec, tuple(misplaced(spec))


def parse_tree(text: str, source: str = "<text>") -> tuple[SyntaxTree | None, tuple[Diagnostic, ...]]:
    """The syntax tree of a .cortex text, or every place where it could not be read."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    place = Place(source)
    if len(text) > LONGEST:
        message = f"a text of {len(text)} characters is too long (at most {LONGEST})"
        return None, (Diagnostic("CS108", message, place.span(1, 1, 1, 2), "", "split it into files joined by `use`"),)
    if surrogate := _SURROGATE.search(text):
        line = text.count("\n", 0, surrogate.start()) + 1
        column = surrogate.start() - text.rfind("\n", 0, surrogate.start())
        message = "half of a character pair stands here; the text was not read as UTF-8"
        return None, (Diagnostic("CS110", message, place.span(line, column, line, column + 1)),)
    reading = _Reading(Reader(_parser(), text), place)
    root = reading.read()
    tree = SyntaxTree(source, text, root, comments_of(text)) if root is not None else None
    if tree is not None and not reading.diagnostics:
        return tree, ()
    in_the_rest = _mistakes_in_the_rest(tree) if tree is not None else ()
    return None, tuple(sorted((*reading.diagnostics, *in_the_rest), key=_place_of))


def _mistakes_in_the_rest(tree: SyntaxTree) -> tuple[Diagnostic, ...]:
    """The statements that do parse may hold wrong words, numbers, units, and `=` for `<-`: report them in the same run."""
    spec, diagnostics = build_spec(tree)
    return *diagnostics, *(one for one in misplaced(spec) if one.code == "CS107")


def _place_of(diagnostic: Diagnostic) -> tuple[int, int]:
    return (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)


@dataclass(slots=True)
class _Reading:
    """One reading of one text. `starts` has the parser's state before the current statement of each open block."""

    reader: Reader
    place: Place
    layout: Layout = field(default_factory=Layout)
    starts: list[Mark] = field(default_factory=list[Mark])
    braces: list[Token] = field(default_factory=list[Token])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def read(self) -> ParseTree | None:
        """The tree of the text without the statements that hold a mistake; None where even that is not to be had."""
        self.starts.append(self.reader.mark())
        while len(self.diagnostics) < MOST_MISTAKES:
            try:
                for token in self.reader.tokens():
                    self._take(token)
                return subtree(self.reader.finish())
            except Mistake as found:
                mistake = self._or_missing_brace(found)
                self.diagnostics.append(self._explain(mistake))
                if mistake.kind == "$END":
                    return self._finish_anyway()
                if not self._go_on(mistake):
                    return None
        return None

    def _finish_anyway(self) -> ParseTree | None:
        """The text ends too early: drop the statement that is not finished and close the blocks that are open."""
        self._restart(len(self.reader.text))
        try:
            self._close_blocks()
            return subtree(self.reader.finish())
        except Mistake:
            return None

    def _close_blocks(self) -> None:
        """Give the parser the braces that the text lacks."""
        end = len(self.reader.text)
        for _ in self.braces:
            self.reader.feed(Token("RBRACE", "}", end, 1, 1, 1, 1, end))
        self.braces.clear()
        del self.starts[1:]

    def _take(self, token: Token) -> None:
        if self.layout.skips(token):
            return
        if self.layout.at_statement:
            self.starts[-1] = self.reader.mark()
            if token.type == "NAME" and self.braces and self._begins_item(token.start_pos or 0):
                raise Mistake.at_token(token, self.reader.before, set(_MISSING_BRACE))
        if len(self.braces) == DEEPEST_BLOCK and token.type == "LBRACE":
            raise Mistake.at_token(Token.new_borrow_pos("TOO_DEEP", str(token), token), self.reader.before, set())
        self.reader.feed(token)
        self.layout.passed(token)
        if token.type == "LBRACE":
            self.braces.append(token)
            self.starts.append(self.reader.mark())
        elif token.type == "RBRACE":
            self.braces.pop()
            self.starts.pop()

    def _or_missing_brace(self, mistake: Mistake) -> Mistake:
        """A doc string inside a block is the beginning of an item whose predecessor is not closed, or a mistake itself."""
        if mistake.kind == "DOC" and self.braces and self.layout.at_statement and self._begins_item(mistake.offset):
            return replace(mistake, accepts=_MISSING_BRACE)
        return mistake

    def _begins_item(self, start: int) -> bool:
        """An item inside a block: a `}` is missing before it."""
        line = self.reader.text[self.reader.text.rfind("\n", 0, start) + 1 : start]
        return not line.strip() and _ITEM.match(self.reader.text, start) is not None

    def _explain(self, mistake: Mistake) -> Diagnostic:
        text = self.reader.text
        at = self.place.span(mistake.line, mistake.column, mistake.line, mistake.column + max(1, len(mistake.found)))
        if mistake.kind == "TOO_DEEP":
            return Diagnostic("CS108", f"blocks are nested more than {DEEPEST_BLOCK} deep", at)
        if mistake.kind in ("NAME", "DOC") and mistake.accepts == _MISSING_BRACE:
            opened = self.place.of(self.braces[-1])
            word = mistake.found.split()[0] if mistake.kind == "NAME" else "this item"
            return Diagnostic(
                "CS102", f"a `}}` is missing before `{word}`", at, "", "close the block", (Note("opened here", opened),)
            )
        if self.layout.opened and self._leaves_brackets(mistake):
            opened = self.layout.opened[-1]
            close = ")" if opened.type == "LPAR" else "]"
            stopped = () if mistake.kind == "$END" else (Note("the statement goes wrong here", at),)
            help = f"write `{close}` where it ends"
            return Diagnostic("CS102", f"this `{opened}` is never closed", self.place.of(opened), "", help, stopped)
        if mistake.kind == "$END" and self.braces:
            brace = self.place.of(self.braces[-1])
            return Diagnostic("CS102", "this `{` is never closed", brace, "", "write `}` where the block ends")
        return explain_statement(mistake, text, self.place, in_block=bool(self.braces))

    def _leaves_brackets(self, mistake: Mistake) -> bool:
        """The statement is over, or another begins, while a bracket is open."""
        if mistake.kind in ("$END", "SEP", "LBRACE", "RBRACE"):
            return True
        start = self.reader.text.rfind("\n", 0, mistake.offset) + 1
        first = not self.reader.text[start : mistake.offset].strip()
        if not first:
            return False
        if _STATEMENT_START.match(self.reader.text, mistake.offset):
            return True
        line = self.reader.text[mistake.offset :].split("\n", 1)[0]
        return _EQUATION.match(line) is not None and all(line.count(a) == line.count(b) for a, b in ("()", "[]"))

    def _go_on(self, mistake: Mistake) -> bool:
        """Return to the beginning of the statement and to the text behind it; False where nothing is left to read."""
        text = self.reader.text
        if text.startswith('"""', mistake.offset) and mistake.kind == "character":
            return False  # an open doc string swallows the rest
        if mistake.accepts == _MISSING_BRACE and mistake.kind in ("NAME", "DOC"):
            self._restart(mistake.offset)
            self._close_blocks()
            self.reader.feed(Token("SEP", "\n", mistake.offset, 1, 1, 1, 1, mistake.offset))
            return True
        offset = self._resume_at(mistake)
        if text.startswith("}", offset) and not self.braces:
            offset += 1
        self._restart(offset)
        if text.startswith("{", offset):
            # `let x = {1, 2}` is no block, but `connect a -> { ... }` lacks only its target.
            value = mistake.kind == "LBRACE" and self.reader.before is not None and self.reader.before.type != "ARROW"
            self._read_block_anyway(offset, skip=mistake.kind == "TOO_DEEP" or (value and "NAME" in mistake.accepts))
        return True

    def _resume_at(self, mistake: Mistake) -> int:
        """Behind the statement; or at the mistake itself, where another statement begins before this one is complete."""
        text = self.reader.text
        line = text[text.rfind("\n", 0, mistake.offset) + 1 : mistake.offset]
        inside = not self.layout.at_statement
        if inside and not line.strip() and _STATEMENT_START.match(text, mistake.offset):
            return mistake.offset
        return _end_of_statement(text, mistake.offset, len(self.layout.opened))

    def _restart(self, offset: int) -> None:
        self.reader.return_to(self.starts[-1], offset)
        self.layout.restart()

    def _read_block_anyway(self, offset: int, skip: bool) -> None:
        """A header that does not parse: feed one that does, so that the mistakes inside the block are found as well."""
        if skip:
            self._restart(_end_of_block(self.reader.text, offset))
            return
        for kind, word in _ANY_LOOP if self.braces else _ANY_CIRCUIT:
            self.reader.feed(Token(kind, word, offset, 1, 1, 1, 1, offset))
        self.layout.last = "NAME"


def _end_of_statement(text: str, offset: int, depth: int) -> int:
    """Where reading can go on: behind the line or `;`, at the brace that closes the block, or at one that opens one."""
    comma = False
    while offset < len(text):
        match = _SCAN.match(text, offset)
        assert match is not None
        piece = match.group()
        if piece in "([":
            depth += 1
        elif piece in ")]":
            depth -= 1
        elif piece == ";" or (piece == "\n" and _line_ends(text, match.end(), depth, comma)):
            return match.end()
        elif piece in "{}":
            return offset
        if not piece.isspace() and not piece.startswith("#"):
            comma = piece == ","
        offset = match.end()
    return offset


def _line_ends(text: str, next_line: int, depth: int, comma: bool) -> bool:
    return (depth <= 0 and not comma) or _STATEMENT_START.match(text, next_line) is not None


def _end_of_block(text: str, offset: int) -> int:
    """Behind the brace that closes the one at `offset`."""
    depth = 0
    for match in _SCAN.finditer(text, offset):
        depth += (match.group() == "{") - (match.group() == "}")
        if depth == 0:
            return match.end()
    return len(text)
