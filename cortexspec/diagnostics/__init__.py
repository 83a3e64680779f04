"""What is wrong, where, and how to fix it."""

from cortexspec.diagnostics.codes import CODES, Code
from cortexspec.diagnostics.diagnostic import Diagnostic, Note, SpecError
from cortexspec.diagnostics.span import Span

__all__ = ["CODES", "Code", "Diagnostic", "Note", "Span", "SpecError"]
