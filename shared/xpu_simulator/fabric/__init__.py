"""The fabric that joins a node's GPUs: how it is described, what is wrong with it, and who tells of it."""
