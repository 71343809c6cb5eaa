"""Telemetry: what sidecars measure and plugins read, as values, as bytes, and over ZeroMQ."""
