"""Spec to JSON and YAML. Fields that say nothing are left out; expressions are text."""

import json
from io import StringIO
from typing import Any

from cortexspec.schema.spec import Spec


def dump_json(spec: Spec) -> str:
    """The spec as JSON; `load_json` gives an equal spec back."""
    return json.dumps(plain_data(spec), indent=2, ensure_ascii=False) + "\n"


def dump_yaml(spec: Spec) -> str:
    """The spec as YAML; `load_yaml` gives an equal spec back."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 1_000_000
    yaml.representer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    out = StringIO()
    yaml.dump(plain_data(spec), out)  # pyright: ignore[reportUnknownMemberType]
    return out.getvalue()


def plain_data(spec: Spec) -> dict[str, Any]:
    """The spec as dictionaries, lists and texts."""
    return {"format_version": spec.format_version, **_without_empty(spec.model_dump(mode="json"))}


def _without_empty(value: Any) -> Any:
    match value:
        case dict():
            pruned = {key: _without_empty(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
            return {key: part for key, part in pruned.items() if part not in (None, "", [])}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_without_empty(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
