"""The torch backend of CortexSpec."""

from cortexspec_torch.backend import Backend

__all__ = ["Backend"]
