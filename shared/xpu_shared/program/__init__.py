"""What every program has: flags, settings, logs, a web page."""
