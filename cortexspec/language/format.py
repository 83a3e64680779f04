"""The formatter. It works on the syntax tree: the same tokens, the same comments, one way to space and indent them.

The author decides where lines break, as far as the language allows it: which blocks stand on one line, where a list goes
on. What is wider than the page is broken further. So formatting twice is formatting once.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from lark import Token

from cortexspec.diagnostics import SpecError
from cortexspec.expressions.build import ParseTree, rule_of, split_quantity
from cortexspec.expressions.names import normalize_name
from cortexspec.language.parse import parse_tree
from cortexspec.language.tree import SyntaxTree

WIDTH = 120
_INDENT = "  "
_OPENING, _CLOSING = ("LPAR", "LSQB"), ("RPAR", "RSQB")
# Statements that are lists of names: what goes on in the next line stands under the first name.
_LISTS = ("declare", "instances", "remove", "noise", "use")
_MODIFIERS = ("trainable", "constraint", "drawn", "clock", "extent")
_TIGHT = ("STAR", "SLASH", "CIRCUMFLEX", "DOTS")


def format_text(text: str, source: str = "<text>") -> str:
    """The text, formatted. Its Spec and its comments stay the same.

    Raises: SpecError where the text does not parse.
    """
    tree, diagnostics = parse_tree(text, source)
    if tree is None:
        raise SpecError(diagnostics, {source: text})
    return format_tree(tree)


def format_tree(tree: SyntaxTree) -> str:
    """The text of a syntax tree in the house's form."""
    leaves = _leaves(tree)
    _settle_breaks(leaves)
    while True:
        lines = _write(leaves)
        if not _break_long_lines(lines, leaves):
            break
    return "".join(line + "\n" for line in _with_comments(lines))


@dataclass(slots=True)
class _Comment:
    text: str
    line: int
    own_line: bool
    blank_before: bool


@dataclass(slots=True)
class _Leaf:
    """A token, the rule it stands in, and what is decided about the place before it."""

    token: Token
    rule: str
    kind: str = ""  # of the statement or item that begins here
    item: bool = False
    breaks: bool = False  # a new line begins here
    blank: bool = False  # after an empty one
    partner: int = -1  # the leaf of the bracket or brace on the other side
    depth: int = 0  # of brackets
    block: int = 0  # of braces
    padding: int = 0  # blanks behind it, in a table
    comments: list[_Comment] = field(default_factory=list[_Comment])  # behind it

    @property
    def type(self) -> str:
        return self.token.type

    @property
    def text(self) -> str:
        if self.type == "QUANTITY":
            return " ".join(split_quantity(str(self.token)))
        return normalize_name(str(self.token)) if self.type == "NAME" else str(self.token)

    @property
    def line(self) -> int:
        return self.token.line or 0

    @property
    def end_line(self) -> int:
        return self.token.end_line or 0


# From the tree to leaves


def _leaves(tree: SyntaxTree) -> list[_Leaf]:
    leaves: list[_Leaf] = []
    stack: list[tuple[ParseTree | Token, str, str, bool]] = [(tree.root, "", "", False)]
    while stack:
        node, rule, begins, item = stack.pop()
        if isinstance(node, Token):
            if node.type != "SEP":
                leaves.append(_Leaf(node, rule, begins, item))
            continue
        name = rule_of(node)
        if rule == "block":
            begins = name
        elif rule in ("start", "item") and name != "item":
            begins, item = name, True
        parts = [child for child in node.children if not (isinstance(child, Token) and child.type == "SEP")]
        if parts:
            stack += [(part, name, "", False) for part in reversed(parts[1:])]
            stack.append((parts[0], name, begins, item))
    _pair(leaves)
    _attach_comments(leaves, tree)
    return leaves


def _pair(leaves: list[_Leaf]) -> None:
    """Each bracket learns its partner, each leaf its depth."""
    opened: list[int] = []
    blocks = 0
    for index, leaf in enumerate(leaves):
        if leaf.type in (*_CLOSING, "RBRACE"):
            partner = opened.pop()
            leaf.partner, leaves[partner].partner = partner, index
            blocks -= leaf.type == "RBRACE"
        leaf.depth, leaf.block = len(opened) - blocks, blocks
        if leaf.type in (*_OPENING, "LBRACE"):
            opened.append(index)
            blocks += leaf.type == "LBRACE"


def _attach_comments(leaves: list[_Leaf], tree: SyntaxTree) -> None:
    """Each comment goes behind the leaf before it; those before the first leaf go to a leaf of their own."""
    leaves.insert(0, _Leaf(Token("HEAD", "", 0, 1, 1, 1, 1, 0), "start"))
    for leaf in leaves:
        leaf.partner += leaf.partner >= 0
    lines = tree.text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    index = 0
    for comment in tree.comments:
        while index + 1 < len(leaves) and (leaves[index + 1].token.start_pos or 0) < comment.offset:
            index += 1
        line = bisect_right(starts, comment.offset)  # counted from 1
        own = not tree.text[starts[line - 1] : comment.offset].strip()
        blank = own and line > 1 and not lines[line - 2].strip()
        leaves[index].comments.append(_Comment(comment.text, line, own, blank))


# Where lines break


def _settle_breaks(leaves: list[_Leaf]) -> None:
    """The author's line breaks, those dropped that the form does not allow."""
    started = 0  # the line in which the statement before began
    for before, leaf in pairwise(leaves):
        leaf.breaks = leaf.line > before.end_line or bool(before.comments)
        leaf.blank = leaf.line > (before.comments[-1].line if before.comments else before.end_line) + 1
        if before.type == "DOC" and not before.comments and before is not leaves[1]:
            leaf.blank = False  # only the first doc string of a file may stand apart: it is the file's
        if leaf.type == "DOC" or leaf.item:
            leaf.breaks = before.type != "HEAD" or bool(before.comments)
        elif leaf.kind and before.type != "LBRACE":
            leaf.breaks = leaf.breaks or started != leaf.line
        if leaf.kind:
            started = leaf.line
    for index, leaf in enumerate(leaves):
        if leaf.type == "LBRACE":
            _settle_block(leaves, index)
        elif leaf.type in _CLOSING and leaf.breaks and not leaves[index - 1].comments:
            first = leaves[leaf.partner + 1]
            leaf.breaks = first.breaks and first is not leaf


def _settle_block(leaves: list[_Leaf], index: int) -> None:
    """A block is on one line as a whole, or each of its ends is on a line of its own."""
    last = leaves[index].partner
    inside = leaves[index + 1 : last + 1]
    broken = any(leaf.breaks for leaf in inside)
    if last == index + 1:
        broken = bool(leaves[index].comments)
    leaves[index + 1].breaks = leaves[last].breaks = broken
    leaves[index + 1].blank = leaves[last].blank = False


def _open_block(leaves: list[_Leaf], index: int) -> None:
    """A block that does not fit on a line: a line for each of its statements."""
    last = leaves[index].partner
    for leaf in leaves[index + 1 : last]:
        if leaf.kind and leaf.block == leaves[index].block + 1:
            leaf.breaks = True
    leaves[last].breaks = True


# Writing


@dataclass(slots=True)
class _Line:
    text: str
    leaves: list[int] = field(default_factory=list[int])
    comment: str = ""
    blank_before: bool = False
    columns: list[int] = field(default_factory=list[int])  # where each leaf begins


def _write(leaves: list[_Leaf]) -> list[_Line]:
    """All lines, comments beside them."""
    _set_items_apart(leaves)
    _align_tables(leaves)
    lines = _write_once(leaves)
    return _write_once(leaves) if _align_variants(lines, leaves) else lines


def _write_once(leaves: list[_Leaf]) -> list[_Line]:
    writer = _Writer(leaves)
    for index in range(len(leaves)):
        writer.leaf(index)
    return writer.lines


class _Writer:
    def __init__(self, leaves: list[_Leaf]):
        self.leaves = leaves
        self.lines: list[_Line] = []
        self.hanging: list[int] = []  # the column under which the lines of each open bracket go on
        self.under = 0  # the column for what goes on outside brackets
        self.started = -1

    def leaf(self, index: int) -> None:
        leaf = self.leaves[index]
        if leaf.type == "HEAD":
            self._comments(leaf, 0)
            return
        if leaf.kind:
            self.started = index
        if leaf.breaks or not self.lines:
            blank = bool(self.lines) and leaf.blank
            self.lines.append(_Line(" " * self._column(index), blank_before=blank))
        else:
            self.lines[-1].text += self._space(index)
        line = self.lines[-1]
        line.columns.append(len(line.text))
        line.leaves.append(index)
        if index == self.started + 1:
            self.under = len(line.text)
        line.text += leaf.text + " " * leaf.padding
        if leaf.type in _OPENING:
            self.hanging.append(self._hang(index))
        elif leaf.type in _CLOSING:
            self.hanging.pop()
        self._comments(leaf, self._comment_column(index + 1))

    def _comment_column(self, index: int) -> int:
        """Where a comment on its own line begins: as what follows it, or as what stands before a closing bracket."""
        if index == len(self.leaves):
            return 0
        if self.leaves[index].type == "RBRACE":
            return len(_INDENT) * (self.leaves[index].block + 1)
        return self.hanging[-1] if self.hanging else self._column(index)

    def _hang(self, index: int) -> int:
        """Behind the bracket; or, where the line ends with it, a step to the right of the line."""
        line = self.lines[-1].text
        indent = len(line) - len(line.lstrip())
        return indent + len(_INDENT) if self.leaves[index + 1].breaks else len(line)

    def _column(self, index: int) -> int:
        """Where a line begins that begins with this leaf."""
        leaf = self.leaves[index]
        if leaf.type == "RBRACE" or leaf.kind or leaf.type == "DOC":
            return len(_INDENT) * leaf.block
        if leaf.type in _CLOSING and self.leaves[leaf.partner + 1].breaks:
            return self.hanging[-1] - len(_INDENT)
        if self.hanging:
            return self.hanging[-1]
        lists = self.started >= 0 and self.leaves[self.started].kind in _LISTS
        return self.under if lists else len(_INDENT) * (leaf.block + 2)

    def _comments(self, leaf: _Leaf, column: int) -> None:
        first = leaf.type == "LBRACE"  # in its block
        for comment in leaf.comments:
            if comment.own_line or not self.lines:
                blank = comment.blank_before and bool(self.lines) and not first
                first = False
                self.lines.append(_Line(" " * column + comment.text, blank_before=blank))
            else:
                self.lines[-1].comment = comment.text

    def _space(self, index: int) -> str:
        """What stands between a leaf and the one before it in the same line."""
        before, leaf = self.leaves[index - 1], self.leaves[index]
        if leaf.kind and before.type not in ("LBRACE", "DOC"):
            return "; "
        if before.type in _OPENING or leaf.type in (*_CLOSING, "COMMA", "DOT", "PRIME") or before.type == "DOT":
            return ""
        if before.type == "COMMA":
            return " "
        if leaf.type == "LPAR" and leaf.rule in ("arguments", "formals"):
            return ""
        if leaf.type == "LSQB" and leaf.rule in ("index", "axes"):
            return ""
        if leaf.type == "COLON":
            return "" if leaf.rule in ("formal", "connect", "claim") else " "
        if before.rule == "unary" and before.type == "MINUS":
            return ""
        if self._tight(index) or self._tight(index - 1):
            return ""
        return "  " if self._sets_apart(index) else " "

    def _tight(self, index: int) -> bool:
        """`a*b`, `a/b`, `a^b`, `a..b`; but `5 mV / s`, where the unit would swallow the s."""
        leaf = self.leaves[index]
        if leaf.type not in _TIGHT or leaf.rule not in ("binary", "unit"):
            return False
        # Without blanks `5 mV / s` would divide by seconds and `5 mV ^ 2` square the unit alone.
        joins = {"SLASH": ("NAME",), "CIRCUMFLEX": ("NUMBER", "MINUS")}.get(leaf.type, ())
        after_unit = leaf.rule == "binary" and self.leaves[index - 1].type in ("QUANTITY", "UNIT")
        return not (after_unit and self.leaves[index + 1].type in joins)

    def _sets_apart(self, index: int) -> bool:
        """Two blanks before the modifiers of a declaration and before the clauses behind a spike's block.

        `state v ~ D` reads as a whole.
        """
        leaf = self.leaves[index]
        if leaf.rule in ("refractory", "surrogate"):
            return leaf.type in ("REFRACTORY", "SURROGATE")
        modifier = leaf.rule in _MODIFIERS
        first = leaf.type in ("TRAINABLE", "IN", "EVERY", "PER") and leaf.depth == 0
        declares = self.started >= 0 and self.leaves[self.started].kind == "declare"
        return modifier and first and declares and not self._follows_modifier(index)

    def _follows_modifier(self, index: int) -> bool:
        """Whether a modifier of the same statement stands before."""
        return any(leaf.rule in _MODIFIERS and leaf.depth == 0 for leaf in self.leaves[self.started : index])


def _with_comments(lines: list[_Line]) -> list[str]:
    """Comments behind lines that follow each other stand under each other."""
    out: list[str] = []
    index = 0
    while index < len(lines):
        run = 1
        if lines[index].comment:
            while index + run < len(lines) and lines[index + run].comment and not lines[index + run].blank_before:
                run += 1
        group = lines[index : index + run]
        column = max((len(line.text) for line in group if len(line.text) <= WIDTH - 30), default=0)
        for line in group:
            out += [""] if line.blank_before else []
            text = line.text.ljust(column) + "  " + line.comment if line.comment else line.text
            out.append(text.rstrip())
        index += run
    return out


# Empty lines, tables, long lines


def _set_items_apart(leaves: list[_Leaf]) -> None:
    """Items of several lines, and items with a doc string, have an empty line before them and their comments."""
    for index, leaf in enumerate(leaves[1:], 1):
        before = leaves[index - 1]
        begins = leaf.type == "DOC" or (leaf.item and before.type != "DOC")
        if begins and before.type != "HEAD" and (leaf.type == "DOC" or before.breaks or _is_long(leaves, index)):
            own = [comment for comment in before.comments if comment.own_line]
            if own and not leaf.blank and not any(comment.blank_before for comment in own):
                own[0].blank_before = True
            elif not own:
                leaf.blank = True


def _is_long(leaves: list[_Leaf], index: int) -> bool:
    """Whether the item that begins here takes several lines."""
    for leaf in leaves[index + 1 :]:
        if leaf.item or leaf.type == "DOC":
            return False
        if leaf.breaks:
            return True
    return False


def _align_tables(leaves: list[_Leaf]) -> None:
    """A list of lists with a row a line gets columns."""
    for leaf in leaves:
        leaf.padding = 0
    for index, leaf in enumerate(leaves):
        if leaf.type == "LSQB" and leaf.rule == "list" and leaves[index + 1].breaks:
            _align(leaves, _rows(leaves, index))


def _rows(leaves: list[_Leaf], index: int) -> list[list[int]]:
    """The ends of the cells of each row, where every item is a list on a line of its own."""
    rows: list[list[int]] = []
    place, last = index + 1, leaves[index].partner
    while place < last:
        leaf = leaves[place]
        if leaf.type != "LSQB" or leaf.rule != "list" or not leaf.breaks:
            return []
        end = leaf.partner
        inside = leaves[place + 1 : end]
        if any(one.breaks or one.comments for one in inside) or leaves[end].breaks:
            return []
        commas = [place + 1 + i for i, one in enumerate(inside) if one.type == "COMMA" and one.depth == leaf.depth + 1]
        rows.append([*commas, end - 1])
        place = end + 1
        if place < last and leaves[place].type == "COMMA":
            place += 1
    return rows if len(rows) > 1 and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 else []


def _align(leaves: list[_Leaf], rows: list[list[int]]) -> None:
    for column in range(len(rows[0]) if rows else 0):
        widths: list[int] = []
        for row in rows:
            first = row[column - 1] + 1 if column else _row_start(leaves, row)
            widths.append(_width(leaves, first, row[column]))
        for row, width in zip(rows, widths, strict=True):
            leaves[row[column]].padding = max(widths) - width


def _row_start(leaves: list[_Leaf], row: list[int]) -> int:
    return leaves[row[-1] + 1].partner + 1


def _width(leaves: list[_Leaf], first: int, last: int) -> int:
    """The width of leaves written in one line."""
    writer = _Writer(leaves)
    text = leaves[first].text
    for index in range(first + 1, last + 1):
        text += writer._space(index) + leaves[index].text  # pyright: ignore[reportPrivateUsage]
    return len(text)


def _align_variants(lines: list[_Line], leaves: list[_Leaf]) -> bool:
    """Variants of one line each that follow each other open their blocks under each other."""
    run: list[tuple[int, int]] = []  # the leaf before the brace, and its end
    changed = False
    for line in [*lines, _Line("")]:
        brace = _block_of_variant(line, leaves)
        if brace is None or line.blank_before:
            changed = _align_run(run, leaves) or changed
            run = []
        if brace is not None:
            run.append((brace - 1, line.columns[line.leaves.index(brace)]))
    return changed


def _block_of_variant(line: _Line, leaves: list[_Leaf]) -> int | None:
    """The brace of a line that is one variant."""
    if not line.leaves or leaves[line.leaves[0]].kind != "variant":
        return None
    brace = next((index for index in line.leaves if leaves[index].type == "LBRACE"), None)
    alone = brace is not None and leaves[brace].partner == line.leaves[-1]
    return brace if alone else None


def _align_run(run: list[tuple[int, int]], leaves: list[_Leaf]) -> bool:
    column = max((end for _, end in run), default=0)
    for index, end in run:
        leaves[index].padding = column - end
    return any(end != column for _, end in run)


def _break_long_lines(lines: list[_Line], leaves: list[_Leaf]) -> bool:
    """Break each line that is too wide once, where that helps; the lines have to be written again then."""
    changed = False
    for line in lines:
        if len(line.text) > WIDTH and line.leaves:
            changed = _break(line, leaves) or changed
    return changed


def _break(line: _Line, leaves: list[_Leaf]) -> bool:
    outer = min(leaves[index].block for index in line.leaves)
    joined = [index for index in line.leaves[1:] if leaves[index].kind and leaves[index].block == outer]
    if joined:
        for index in joined:
            leaves[index].breaks = True
        return True
    for index in line.leaves:
        if (
            leaves[index].type == "LBRACE"
            and leaves[index].partner in line.leaves
            and leaves[index].partner > index + 1
        ):
            _open_block(leaves, index)
            return True
    return _break_list(line, leaves)


def _break_list(line: _Line, leaves: list[_Leaf]) -> bool:
    """Behind the last comma that fits, of the outermost list that has one; or behind its bracket, far on the right."""
    commas = [i for i in range(len(line.leaves) - 1) if leaves[line.leaves[i]].type == "COMMA"]
    claim = any(leaves[index].kind == "claim" for index in line.leaves)
    unbroken = ("index", "arguments") if claim else ("index",)  # a claim reads as one sentence
    commas = [i for i in commas if leaves[line.leaves[i]].rule not in unbroken]
    if not commas:
        return False
    depth = min(leaves[line.leaves[i]].depth for i in commas)
    outer = [i for i in commas if leaves[line.leaves[i]].depth == depth]
    fitting = [i for i in outer if line.columns[i] < WIDTH]
    chosen = fitting[-1] if fitting else outer[0]
    target = line.leaves[chosen] + 1
    opener = _opener(leaves, line.leaves[chosen])
    if opener in line.leaves and line.columns[line.leaves.index(opener)] > WIDTH // 2:
        target = opener + 1
    leaves[target].breaks = True
    return True


def _opener(leaves: list[_Leaf], index: int) -> int:
    """The bracket around a leaf, or -1."""
    depth = 0
    for place in range(index, -1, -1):
        leaf = leaves[place]
        if leaf.type in _CLOSING:
            depth += 1
        elif leaf.type in _OPENING:
            if depth == 0:
                return place
            depth -= 1
        elif leaf.kind and depth == 0:
            return -1
    return -1
