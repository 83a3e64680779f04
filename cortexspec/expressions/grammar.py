"""A grammar as a lark parser. Its tables take most of a second to compute, so they are kept in the user's cache folder.

The file there is named after all that the tables follow from, and is plain data in `marshal`'s form: reading it runs
nothing. Without a folder that can be written, or with a file that cannot be read, the tables are computed.
"""

# pyright: reportUnknownMemberType=false, reportPrivateUsage=false

import hashlib
import marshal
import os
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from pickle import loads
from typing import Any, cast

import lark
from lark import Lark


def open_grammar(path: Path, start: str, imports: Path | None = None, postlex: Any = None) -> Lark:
    """The LALR(1) parser of the grammar in a file; `imports` is the folder of the grammars that it imports.

    Every token is kept, and the tree knows its places.
    """
    kept = _kept(path, start, imports)
    return _read(kept, postlex) or _computed(path, start, imports, postlex, kept)


def cache_folder() -> Path:
    """Where this user's programs keep what they can compute again."""
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".cache") / "cortexspec"


def _kept(path: Path, start: str, imports: Path | None) -> Path | None:
    """The file for the tables of this grammar; None where the user has no home."""
    texts = [path, *(sorted(imports.glob("*.lark")) if imports is not None else ())]
    said = [
        lark.__version__,
        sys.version,
        start,
        Path(__file__).read_text("utf-8"),
        *(one.read_text("utf-8") for one in texts),
    ]
    key = hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]
    try:
        return cache_folder() / f"{path.stem}-{key}.tables"
    except RuntimeError:
        return None


def _computed(path: Path, start: str, imports: Path | None, postlex: Any, kept: Path | None) -> Lark:
    parser = Lark.open(
        str(path),
        parser="lalr",
        lexer="contextual",
        start=start,
        import_paths=[str(imports)] if imports is not None else [],
        postlex=postlex,
        propagate_positions=True,
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    if kept is not None:
        _keep(parser, kept)
    return parser


def _keep(parser: Lark, kept: Path) -> None:
    """Writes the whole file or none."""
    saved = BytesIO()
    parser.save(saved, exclude_options=("postlex", "import_paths"))
    try:
        content = marshal.dumps(_plain(loads(saved.getvalue())))
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, kept)
    except (OSError, ValueError):
        return


def _plain(value: Any) -> Any:
    """Some names of lark's are tokens, which `marshal` does not take and which compare slowly."""
    match value:
        case str():
            return str(value)
        case dict():
            return {_plain(key): _plain(one) for key, one in cast("dict[Any, Any]", value).items()}
        case list() | tuple():
            return type(cast("list[Any]", value))(_plain(one) for one in cast("list[Any]", value))
        case _:
            return value


def _read(kept: Path | None, postlex: Any) -> Lark | None:
    try:
        saved: Any = marshal.loads(kept.read_bytes()) if kept is not None else None
        if saved is None:
            return None
        return Lark._load_from_dict(saved["data"], saved["memo"], postlex=postlex)
    except (OSError, ValueError, EOFError, TypeError, KeyError, AssertionError):
        return None
