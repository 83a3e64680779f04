"""JSON and YAML to Spec: every field with its line, every mistake in one run, and nothing of the file is executed."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.schema.base import LocatedText
from cortexspec.schema.located import Entry, Located, Mapping, NotReadable, Scalar, Sequence, read_json
from cortexspec.schema.placement import misplaced
from cortexspec.schema.spec import Spec
from cortexspec.schema.yaml_reader import read_yaml

LONGEST_JSON = 4_000_000
LONGEST_YAML = 300_000  # ruamel reads some 20 kB a second

Result = tuple[Spec | None, tuple[Diagnostic, ...]]


def load_json(text: str, source: str = "<json>") -> Result:
    """The Spec of a JSON text, and everything wrong with it. Never raises for what a text says."""
    return _load(text, source, read_json, LONGEST_JSON)


def load_yaml(text: str, source: str = "<yaml>") -> Result:
    """The Spec of a YAML text, and everything wrong with it. Never raises for what a text says."""
    return _load(text, source, read_yaml, LONGEST_YAML)


def _load(text: str, source: str, read: Callable[[str, str], Located], longest: int) -> Result:
    text = text.removeprefix("\ufeff")
    if len(text) > longest:
        message = f"a text of {len(text)} characters is too long (at most {longest})"
        return None, (Diagnostic("CS108", message, Span(source, 1, 1, 1, 2)),)
    try:
        located = read(text, source)
    except NotReadable as error:
        return None, (error.diagnostic,)
    doubled = tuple(_doubled(located))
    try:
        spec = Spec.model_validate(_plain(located, top=True))
    except ValidationError as error:
        errors = error.errors()
        found = [one for details in errors if not _follows(details, errors) for one in _diagnostics(details, located)]
        return None, tuple(dict.fromkeys((*doubled, *found)))
    if doubled:
        return None, doubled
    return spec, tuple(misplaced(spec))


def _plain(value: Located, top: bool = False) -> Any:
    """Plain data for pydantic: texts that know their place, mappings with a span."""
    match value:
        case Scalar():
            return None if value.is_null else LocatedText(value.text, value.inside)
        case Sequence():
            return [_plain(item) for item in value.items]
        case Mapping():
            data = {entry.key: _plain(entry.value) for entry in value.entries if entry.key != "span"}
            if value.get("span") is not None:
                data["span."] = None  # no field has this name, so it is reported like any unknown one
            if top and str(data.get("format_version", "")).isdigit() and len(data["format_version"]) < 9:
                data["format_version"] = int(data["format_version"])
            return data | {"span": value.span}


def _doubled(value: Located) -> Iterator[Diagnostic]:
    """Fields that a mapping has twice."""
    match value:
        case Mapping():
            seen: set[str] = set()
            for entry in value.entries:
                if entry.key in seen:
                    yield Diagnostic("CS201", f"the field `{entry.key}` is there twice", entry.key_span)
                seen.add(entry.key)
                yield from _doubled(entry.value)
        case Sequence():
            for item in value.items:
                yield from _doubled(item)
        case Scalar():
            pass


def _diagnostics(details: ErrorDetails, located: Located) -> Iterator[Diagnostic]:
    """What pydantic found, at its place in the file."""
    context = details.get("ctx", {})
    if "diagnostics" in context:
        yield from cast(tuple[Diagnostic, ...], context["diagnostics"])
        return
    value, entry = _find(details["loc"], located)
    field = str(details["loc"][-1]) if details["loc"] else ""
    span = value.span
    match details["type"]:
        case "missing":
            yield Diagnostic("CS201", f"the field `{field}` is missing", span)
        case "extra_forbidden":
            name = field.rstrip(".")
            near = get_close_matches(name, _fields_around(details), 1, 0.6)
            help = f"did you mean `{near[0]}`?" if near else ""
            place = entry.key_span if entry is not None else span
            yield Diagnostic("CS201", f"there is no field `{name}` here", place, "", help)
        case "union_tag_not_found":
            yield Diagnostic("CS201", "the field `kind` is missing", span, "", "`kind` says which statement this is")
        case "union_tag_invalid":
            yield _unknown_kind(context, value)
        case "literal_error":
            yield Diagnostic("CS201", f"`{_shown(value)}` is not allowed here", span, f"expected {context['expected']}")
        case "too_short":
            yield Diagnostic("CS201", f"`{field}` is empty", span, "expected at least one")
        case "string_type":
            yield Diagnostic("CS201", f"`{field}` is not a text", span, "expected a text", _null_help(value))
        case "tuple_type" | "list_type":
            yield Diagnostic("CS201", f"`{field}` is not a list", span, "expected a list")
        case "model_type" | "model_attributes_type" | "dict_type":
            yield Diagnostic("CS201", f"`{field}` is not an object with fields", span, "expected fields")
        case _:
            yield Diagnostic("CS201", details["msg"].removeprefix("Value error, "), span)


def _follows(details: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """A list is too short only because its items are wrong, which is reported already."""
    path = details["loc"]
    deeper = (other["loc"] for other in errors if len(other["loc"]) > len(path))
    return details["type"] == "too_short" and any(other[: len(path)] == path for other in deeper)


def _find(path: tuple[int | str, ...], located: Located) -> tuple[Located, Entry | None]:
    """The value at a path of pydantic's, which names the kinds of statements on the way; the nearest where it ends."""
    value, last = located, None
    for step in path:
        match value:
            case Mapping():
                entry = value.get(str(step)) or (value.get("span") if step == "span." else None)
                if entry is not None:
                    value, last = entry.value, entry
            case Sequence() if isinstance(step, int) and step < len(value.items):
                value, last = value.items[step], None
            case _:
                pass
    return value, last


def _fields_around(details: ErrorDetails) -> list[str]:
    """The fields that any part of a spec may have, for a guess at a misspelt one."""
    schema = Spec.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for part in parts for name in part.get("properties", {})})


def _unknown_kind(context: dict[str, Any], value: Located) -> Diagnostic:
    kinds = [kind.strip(" '") for kind in str(context.get("expected_tags", "")).split(",")]
    entry = value.get("kind") if isinstance(value, Mapping) else None
    kind, span = (entry.value, entry.value.span) if entry else (value, value.span)
    near = get_close_matches(_shown(kind), kinds, 1, 0.6)
    help = f"did you mean `{near[0]}`?" if near else f"kinds are {', '.join(kinds)}"
    return Diagnostic("CS201", f"there is no kind `{_shown(kind)}` here", span, "", _null_help(kind) or help)


def _null_help(value: Located) -> str:
    """YAML reads a bare `~` as nothing at all."""
    return 'quote it: "~"' if isinstance(value, Scalar) and value.is_null else ""


def _shown(value: Located) -> str:
    return value.text if isinstance(value, Scalar) else "this"
