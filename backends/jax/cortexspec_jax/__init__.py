"""The JAX backend of CortexSpec."""

from cortexspec_jax.backend import Backend

__all__ = ["Backend"]
