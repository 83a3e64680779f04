"""The command line: a file a command; it prints and decides nothing."""

from cortexspec.cli.app import app, main

__all__ = ["app", "main"]
