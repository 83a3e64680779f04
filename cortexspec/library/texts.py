"""Neurons and synapses in the language itself: what `use neurons` and `use synapses` bring, found as plugins are."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cortexspec.contracts.plugin import Plugin


def _texts(folder: str) -> tuple[Path, ...]:
    return tuple(sorted((Path(__file__).parent / folder).glob("*.cortex")))


neurons = Plugin("neurons", texts=_texts("neurons"))
synapses = Plugin("synapses", texts=_texts("synapses"))


@cache
def brought() -> Mapping[str, str]:
    """By the name of each item of these texts the `use` that brings it."""
    item = re.compile(r"^(?:neuron|synapse|function) (\w+)", re.MULTILINE)
    return {
        name: folder
        for folder in ("neurons", "synapses")
        for text in _texts(folder)
        for name in item.findall(text.read_text(encoding="utf-8"))
    }
