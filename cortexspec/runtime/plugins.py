"""The plugins that a spec uses, loaded: plain values for analysis, lowering and experiments. No spec, no import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cortexspec import library
from cortexspec.analysis.library import ENTRY_KINDS, Brought
from cortexspec.contracts.plugin import Plugin
from cortexspec.diagnostics import Diagnostic, Span, SpecError
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.registry import PLUGINS, installed, load_plugin
from cortexspec.schema.spec import Spec, Template, Use


@dataclass(frozen=True, slots=True)
class Found:
    """What the plugins of a spec bring, their texts by file name, and what is wrong with them."""

    brought: tuple[Brought, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    diagnostics: tuple[Diagnostic, ...] = ()


def plugins_of(specs: Iterable[Spec]) -> Found:
    """Loads what the specs `use` and what the texts of those plugins `use`, each once.

    Built-in groups such as `vision` are no plugins. One that is not installed is left to analysis, which knows whether it is needed.
    """
    loader = _Loader()
    for spec in specs:
        loader.follow(spec)
    return Found(tuple(loader.brought), loader.sources, tuple(loader.diagnostics))


class _Loader:
    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.brought: list[Brought] = []
        self.sources: dict[str, str] = {}
        self.diagnostics: list[Diagnostic] = []

    def follow(self, spec: Spec) -> None:
        for use in (item for item in spec.items if isinstance(item, Use)):
            for name in use.names:
                if name not in self.seen and name not in library.groups:
                    self.seen.add(name)
                    self.load(name, use.span)

    def load(self, name: str, asked: Span | None) -> None:
        try:
            versions = {one.name: one.version for one in installed(PLUGINS)}
            if name not in versions:
                return
            plugin = load_plugin(name)
        except SpecError as error:
            self.diagnostics += [replace(one, span=one.span or asked) for one in error.diagnostics]
            return
        strange = [type(entry).__name__ for entry in plugin.entries if type(entry) not in ENTRY_KINDS]
        if strange:
            known = ", ".join(kind.__name__ for kind in ENTRY_KINDS)
            message = f"the plugin `{name}` brings a `{strange[0]}`, which is no kind of entry"
            self.diagnostics.append(Diagnostic("CS903", message, asked, help=f"entries are of the kinds {known}"))
            return
        specs = self.texts(name, plugin, asked)
        items = tuple(item for spec in specs for item in spec.items if isinstance(item, Template))
        self.brought.append(Brought(name, items, plugin.entries, versions[name]))
        for spec in specs:
            self.follow(spec)

    def texts(self, name: str, plugin: Plugin, asked: Span | None) -> list[Spec]:
        """The specs of its texts, as far as they parse."""
        found: list[Spec] = []
        for text in plugin.texts:
            file = str(text) if isinstance(text, Path) else f"<plugin {name}>"
            try:
                said = text.read_text(encoding="utf-8") if isinstance(text, Path) else text
            except (OSError, UnicodeDecodeError) as error:
                message = f"`{file}` of the plugin `{name}` cannot be read: {error}"
                self.diagnostics.append(Diagnostic("CS903", message, asked, help="reinstall the plugin"))
                continue
            if file in self.sources:
                file = f"<plugin {name}, text {len(self.sources) + 1}>"
            self.sources[file] = said
            spec, mistakes = parse_spec(said, file)
            self.diagnostics += [one for one in mistakes if one.severity == "error"]
            if spec is not None:
                found.append(spec)
        return found
