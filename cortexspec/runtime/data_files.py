"""The files that `data("file", "key")` names: found inside the spec's folder or the user's data folder, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from cortexspec import library
from cortexspec.analysis.library import Brought
from cortexspec.contracts.data_file import DataFileEntry, NamedArray
from cortexspec.contracts.dataset import Places
from cortexspec.ir.types import RuleError


@dataclass(frozen=True)
class DataFiles:
    """The `DataReader` of one spec. `formats` are asked in order. A file that was read is not read again while it is unchanged."""

    places: Places
    formats: tuple[DataFileEntry, ...]
    _read: dict[tuple[Path, str, int], NamedArray] = field(
        default_factory=dict[tuple[Path, str, int], NamedArray], init=False, compare=False, repr=False
    )

    @staticmethod
    def of(places: Places, plugins: Iterable[Brought]) -> DataFiles:
        brought = [entry for plugin in plugins for entry in plugin.entries if isinstance(entry, DataFileEntry)]
        return DataFiles(places, (*brought, *library.data_files.values()))

    def path(self, file: str) -> Path | None:
        """Where a file is; None where no folder in reach has it. Raises: RuleError CS901 for a name that leads out of them."""
        for folder in (self.places.folder, self.places.data):
            if folder is None:
                continue
            path = (folder / file).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise RuleError("CS901", f"`{file}` lies outside the folder of this spec", help=_HELP)
            if path.is_file():
                return path
        return None

    def read(self, file: str, key: str) -> NamedArray:
        path = self.path(file)
        if path is None:
            where = "" if self.places.folder is not None else ": this spec is no file, so it has no folder"
            raise RuleError("CS901", f"there is no data file `{file}`{where}", help=_HELP)
        stamp = path.stat().st_mtime_ns
        if (path, key, stamp) not in self._read:
            self._read[path, key, stamp] = self._from(path, file, key)
        return self._read[path, key, stamp]

    def _from(self, path: Path, file: str, key: str) -> NamedArray:
        entry = next((one for one in self.formats if one.reads(path)), None)
        if entry is None:
            known = ", ".join(one.name for one in self.formats)
            raise RuleError("CS911", f"`{file}` is of no format that is known here", help=f"there are {known}")
        try:
            return entry.read(path, key)
        except KeyError:
            names = entry.names(path)
            near = get_close_matches(key, names, 1)
            help = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(f'`{name}`' for name in names)}"
            raise RuleError("CS906", f"`{file}` has no array `{key}`", help=help) from None
        except (ValueError, OSError) as error:
            raise RuleError("CS911", f"`{key}` of `{file}` cannot be read: {error}") from None


_HELP = "data are read from the spec's own folder, or from the folder that `--data` gives"
