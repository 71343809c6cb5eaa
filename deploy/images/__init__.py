"""Container images: `make images` builds what images.toml lists; docs/images.md."""
