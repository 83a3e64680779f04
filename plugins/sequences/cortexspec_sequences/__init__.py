"""Long sequences as data sets: `use sequences`, then `dataset = text("wikipedia")`."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_sequences.text import TEXT

plugin = Plugin("sequences", entries=(TEXT,))

__all__ = ["plugin"]
