"""What lies beside the package and travels in its wheel; an editable install reads it where it is.

The error pages, for `cortexspec explain`, and the reference specs with the data that they need, for `cortexspec conformance`.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Beside(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        include = build_data["force_include"]
        include["docs/errors"] = "cortexspec/diagnostics/pages"
        specs = Path(self.root) / "specs"
        for path in sorted(specs.rglob("*.cortex")):
            inside = path.relative_to(specs)
            name = inside.parent if path.name == "model.cortex" else inside.with_suffix("")
            include[f"specs/{inside}"] = f"cortexspec/testing/specs/{name}.cortex"
        # What `cortexspec conformance` reads of the tables; the others are in the source distribution and the repository.
        for name in ("few_cells.npz", "README.md", "LICENSE.source.txt"):
            include[f"specs/microns_rnn/microns/{name}"] = f"cortexspec/testing/specs/microns/{name}"
