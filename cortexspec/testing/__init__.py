"""The suite that the author of a backend or a plugin runs."""
