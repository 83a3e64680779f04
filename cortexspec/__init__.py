"""CortexSpec: a small language and a compiler for cortical circuits that train."""
