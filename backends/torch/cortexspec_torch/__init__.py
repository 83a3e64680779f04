"""The torch backend of CortexSpec."""
