"""IR to IR, a file each; `pipeline` has them by name."""
