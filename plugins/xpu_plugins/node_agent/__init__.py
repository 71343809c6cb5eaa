"""One process for all accelerators of a node: it runs the plugins of any families beside one another."""
