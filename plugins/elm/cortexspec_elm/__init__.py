"""Expressive Leaky Memory neurons: what `use elm` brings to a spec."""

from pathlib import Path

from cortexspec.contracts.plugin import Plugin
from cortexspec_elm.routing import WINDOWS

plugin = Plugin("elm", texts=(Path(__file__).with_name("neurons.cortex"),), entries=(WINDOWS,))
