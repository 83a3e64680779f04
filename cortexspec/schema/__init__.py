"""The pydantic Spec: what was written."""
