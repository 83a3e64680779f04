"""Binary stochastic networks: what `use binary` brings to a spec."""

from pathlib import Path

from cortexspec.contracts.plugin import Plugin
from cortexspec_binary.exact.entries import ANALYSES
from cortexspec_binary.measures.entries import MEASURES

plugin = Plugin("binary", texts=(Path(__file__).with_name("neurons.cortex"),), entries=(*MEASURES, *ANALYSES))
