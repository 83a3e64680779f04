"""Spec to JSON and YAML. Fields that say nothing are left out; expressions are text."""

import json
from typing import Any, cast

from pydantic.fields import FieldInfo

from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.schema.base import SchemaNode
from cortexspec.schema.spec import Spec


def dump_json(spec: Spec) -> str:
    """The spec as JSON; `load_json` gives an equal spec back."""
    return json.dumps(plain_data(spec), indent=2, ensure_ascii=False) + "\n"


def dump_yaml(spec: Spec) -> str:
    """The spec as YAML; `load_yaml` gives an equal spec back."""
    from cortexspec.schema.yaml_writer import write_yaml

    return write_yaml(plain_data(spec))


def plain_data(spec: Spec) -> dict[str, Any]:
    """The spec as dictionaries, lists, texts and its format version."""
    return cast(dict[str, Any], _plain(spec))


def _plain(value: object) -> object:
    match value:
        case SchemaNode():
            fields = type(value).model_fields
            return {name: _plain(getattr(value, name)) for name, field in fields.items() if _says(value, name, field)}
        case tuple():
            return [_plain(part) for part in cast(tuple[object, ...], value)]
        case tree.Node():
            return print_expression(cast(tree.Expression, value))
        case _:
            return value


def _says(node: SchemaNode, name: str, field: FieldInfo) -> bool:
    """Whether a field says more than its absence would."""
    return name in ("kind", "format_version") or (name != "span" and getattr(node, name) != field.default)
