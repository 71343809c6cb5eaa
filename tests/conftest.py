"""What all tests share: property tests have no deadline of their own, because machines under load are slow."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
