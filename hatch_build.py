"""Puts the error pages into the wheel, where `cortexspec explain` finds them; an editable install reads docs/ itself."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ErrorPages(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["docs/errors"] = "cortexspec/diagnostics/pages"
