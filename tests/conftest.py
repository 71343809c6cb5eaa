"""What all tests share: property tests have no deadline of their own, because machines under load are slow."""

import os

from hypothesis import settings

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when grpc is imported; it would report each kubelet that ends

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
