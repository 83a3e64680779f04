"""A spec from a file, with the files that it uses. Reads nothing outside the spec's own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cortexspec.analysis.library import Brought
from cortexspec.contracts.dataset import Places
from cortexspec.diagnostics import Diagnostic, Span, SpecError
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.data_files import DataFiles
from cortexspec.runtime.plugins import plugins_of
from cortexspec.schema.load import load_json, load_yaml
from cortexspec.schema.spec import Spec, Use

MODEL_FILE = "model.cortex"
_READERS = {".cortex": parse_spec, ".json": load_json, ".yaml": load_yaml, ".yml": load_yaml}
SUFFIXES = frozenset(_READERS)
# Longer than any reader takes; a larger file is not even read.
_LARGEST = 16_000_000
_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says: its Spec (None where it does not parse), what is wrong, the texts read, what it uses.

    `used` are the specs of the files that it uses, by name, `plugins` what the installed plugins bring that it uses.
    """

    file: str
    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    used: Mapping[str, Spec]
    plugins: tuple[Brought, ...] = ()

    @property
    def data(self) -> DataFiles:
        """The files that it may name, in its own folder."""
        return DataFiles.of(Places(Path(self.file).parent), self.plugins)

    @property
    def fine(self) -> bool:
        return not any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def require(self) -> Spec:
        """The Spec. Raises: SpecError with everything that is wrong, where something is."""
        if self.spec is None or not self.fine:
            raise SpecError(self.diagnostics, dict(self.sources))
        return self.spec


def read_file(path: str | Path) -> Reading:
    """A .cortex, .yaml or .json file, or the `model.cortex` of a folder. Never raises for what a file says."""
    path = Path(path)
    if path.is_dir():
        path = path / MODEL_FILE
    reader = _Reader()
    spec = reader.read(path, None)
    if spec is not None:
        reader.follow(spec, path.parent)
    found = plugins_of([spec, *reader.used.values()] if spec is not None else [])
    diagnostics = (*reader.diagnostics, *found.diagnostics)
    return Reading(str(path), spec, diagnostics, {**reader.sources, **found.sources}, reader.used, found.brought)


class _Reader:
    """Collects texts, specs and mistakes over a file and all that it uses."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.sources: dict[str, str] = {}
        self.used: dict[str, Spec] = {}

    def read(self, path: Path, asked: Span | None) -> Spec | None:
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            known = ", ".join(sorted(_READERS))
            return self.refuse("CS202", f"`{path}` is not a spec: its name ends in none of {known}", asked)
        try:
            if path.stat().st_size > _LARGEST:
                return self.refuse("CS108", f"`{path}` is too large (at most {_LARGEST} bytes)", asked)
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return self.refuse("CS905", f"there is no file `{path}`", asked)
        except (OSError, UnicodeDecodeError) as error:
            why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
            return self.refuse("CS202", f"`{path}` cannot be read: {why}", asked)
        self.sources[str(path)] = text
        spec, found = reader(text, str(path))
        self.diagnostics += found
        return spec

    def follow(self, spec: Spec, folder: Path) -> None:
        """Reads what `use "FILE"` names, and what those files use; each once, so that a circle of files ends."""
        for use in (item for item in spec.items if isinstance(item, Use) and item.file):
            if use.file in self.used:
                continue
            path = folder / use.file
            if Path(use.file).name != use.file or path.is_symlink():
                self.refuse("CS905", f'`use "{use.file}"` names a file outside the folder of this spec', use.span)
                continue
            if len(self.used) >= _MOST_FILES:
                self.refuse("CS108", f"more than {_MOST_FILES} files are used", use.span)
                return
            used = self.read(path, use.span)
            if used is not None:
                self.used[use.file] = used
                self.follow(used, folder)

    def refuse(self, code: str, message: str, span: Span | None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span))
