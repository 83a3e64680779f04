"""The intermediate representation: a typed, flat, immutable program; its text form and its verifier."""
