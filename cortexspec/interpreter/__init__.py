"""Walks the IR in NumPy and so defines what a program means."""

from cortexspec.interpreter.backend import Backend
from cortexspec.interpreter.interpreter import run

__all__ = ["Backend", "run"]
