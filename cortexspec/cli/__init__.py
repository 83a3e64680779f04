"""The command line: a file a command; it prints and decides nothing."""

from cortexspec.cli.commands import app, main

__all__ = ["app", "main"]
