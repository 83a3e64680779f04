"""Plain data as YAML that any reader reads back exactly."""

# ruamel's representer is written without types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

# Line breaks that YAML folds, and what is not printed: only double quotes keep them.
_FRAGILE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]|^[ \n]|[ \n]$|[ ]\n|\n ")


class _Texts(SafeRepresenter):
    """Texts of several lines as blocks, fragile ones in double quotes, all others as they are."""


def _represent_text(representer: Any, text: str) -> Any:
    style = '"' if _FRAGILE.search(text) else "|" if "\n" in text else None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Texts.add_representer(str, _represent_text)


def write_yaml(data: dict[str, Any]) -> str:
    """The data as YAML in block style, fields in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Texts
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 1_000_000
    yaml.representer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()
