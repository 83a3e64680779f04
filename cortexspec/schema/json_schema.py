"""The published JSON Schema, so that editors and other programs can check a spec in JSON or YAML.

`python -m cortexspec.schema.json_schema > docs/spec.schema.json` writes it; a test keeps the file current.
"""

import json
from typing import Any

from cortexspec.schema.spec import FORMAT_VERSION, Spec


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec."""
    schema = Spec.model_json_schema()
    for part in schema["$defs"].values():
        if "kind" in part.get("properties", {}):
            part["required"] = sorted({"kind", *part.get("required", [])})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"CortexSpec, format version {FORMAT_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def main() -> None:
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
