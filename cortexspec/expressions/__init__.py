"""The one expression grammar, used by text, schema and plugins alike."""
