"""What outsiders sign: a plugin, a backend, a simulator."""
