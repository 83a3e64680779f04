"""The same work written by hand, as fast as we know how, for each framework."""
