"""The jax backend of CortexSpec."""
