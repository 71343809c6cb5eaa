"""Device plugins, a package each."""
