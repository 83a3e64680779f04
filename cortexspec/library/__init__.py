"""Built-in entries, of the same kinds as a plugin's: functions, parts, distributions, constraints, connection rules, data sets."""

from types import MappingProxyType

from cortexspec.library.connection_rules import CONNECTION_RULES, ConnectionRule
from cortexspec.library.constraints import CONSTRAINTS
from cortexspec.library.data_files import DATA_FILES
from cortexspec.library.datasets import DATASETS
from cortexspec.library.distributions import DISTRIBUTIONS
from cortexspec.library.functions import FUNCTIONS
from cortexspec.library.later import LATER, SIGNATURES
from cortexspec.library.measures import MEASURES
from cortexspec.library.parts import PARTS

functions = MappingProxyType({entry.name: entry for entry in (*LATER, *FUNCTIONS)})
# The types of functions that do not lower yet, for analysis.
signatures = MappingProxyType({entry.name: entry for entry in SIGNATURES if functions[entry.name] in LATER})
measures = MappingProxyType({entry.name: entry for entry in MEASURES})
parts = MappingProxyType({entry.name: entry for entry in PARTS})
distributions = MappingProxyType({entry.name: entry for entry in DISTRIBUTIONS})
constraints = MappingProxyType({entry.name: entry for entry in CONSTRAINTS})
data_files = MappingProxyType({entry.name: entry for entry in DATA_FILES})
datasets = MappingProxyType({entry.name: entry for entry in DATASETS})
connection_rules = MappingProxyType({entry.name: entry for entry in CONNECTION_RULES})

# What `use NAME` brings where NAME is no plugin: the names that need it.
groups = MappingProxyType({"vision": ("conv2d", "depthwise", "dense", "batch_norm", "dropout", "adaptive_pool")})

__all__ = [
    "ConnectionRule",
    "connection_rules",
    "constraints",
    "data_files",
    "datasets",
    "distributions",
    "functions",
    "groups",
    "measures",
    "parts",
    "signatures",
]
