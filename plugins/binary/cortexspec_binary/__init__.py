"""Binary stochastic networks: what `use binary` brings to a spec."""

from cortexspec.contracts.plugin import Plugin

plugin = Plugin("binary")
