"""Physical units: an exact dimension in one coherent set, and the way between written units and that set."""

from cortexspec.units.coherent import (
    Quantity,
    UnitError,
    from_coherent,
    parse_quantity,
    parse_unit,
    scale_of,
    to_coherent,
    unit_of,
)
from cortexspec.units.dimension import COHERENT, DIMENSIONLESS, Unit
from cortexspec.units.table import SYMBOLS

__all__ = [
    "COHERENT",
    "DIMENSIONLESS",
    "SYMBOLS",
    "Quantity",
    "Unit",
    "UnitError",
    "from_coherent",
    "parse_quantity",
    "parse_unit",
    "scale_of",
    "to_coherent",
    "unit_of",
]
