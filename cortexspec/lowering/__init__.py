"""Model to IR."""

from cortexspec.lowering.lower import lower

__all__ = ["lower"]
