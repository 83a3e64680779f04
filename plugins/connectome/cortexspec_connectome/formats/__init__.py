"""File formats of measured connectomes: the arrays that `data("file", "key")` reads, each with its unit and what it is."""

from cortexspec_connectome.formats.cave import CAVE
from cortexspec_connectome.formats.field import FIELD, Field, read_field, write_field
from cortexspec_connectome.formats.nwb import NWB

DATA_FILES = (FIELD, CAVE, NWB)

__all__ = ["CAVE", "DATA_FILES", "FIELD", "NWB", "Field", "read_field", "write_field"]
