"""A soak: two simulated nodes on which things happen all the time, and an oracle that knows what has to come of it."""
