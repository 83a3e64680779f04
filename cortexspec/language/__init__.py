"""`.cortex` text to tree to Spec and back."""
