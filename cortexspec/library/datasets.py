"""Built-in data sets as a spec writes them; `cortexspec/experiments` reads their files."""

from types import MappingProxyType

from cortexspec.contracts.dataset import DatasetSignature
from cortexspec.ir.types import Type

IMAGES = DatasetSignature(
    "images",
    settings=MappingProxyType({"standardize": False, "embedded": True}),
    doc="Pictures with a label.",
    fields=MappingProxyType({"label": Type((), "int")}),
    choices=("mnist", "fashion_mnist", "cifar10"),
)

DATASETS = (IMAGES,)
