"""Long sequences as data sets: `use sequences`, then `dataset = text("wikipedia")`."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_sequences.neuronio import NEURONIO
from cortexspec_sequences.shd import SHD, SHD_ADDING
from cortexspec_sequences.text import TEXT

plugin = Plugin("sequences", entries=(TEXT, SHD, SHD_ADDING, NEURONIO))

__all__ = ["plugin"]
