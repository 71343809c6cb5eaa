"""Sidecars: programs that measure and publish; one package each."""
