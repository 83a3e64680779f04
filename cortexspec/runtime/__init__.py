"""The public face and what it is made of."""
