"""Neurons and synapses in the language itself: what `use neurons` and `use synapses` bring, found as plugins are."""

from pathlib import Path

from cortexspec.contracts.plugin import Plugin


def _texts(folder: str) -> tuple[Path, ...]:
    return tuple(sorted((Path(__file__).parent / folder).glob("*.cortex")))


neurons = Plugin("neurons", texts=_texts("neurons"))
synapses = Plugin("synapses", texts=_texts("synapses"))
