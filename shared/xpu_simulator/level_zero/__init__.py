"""A Level-Zero library without hardware: a shared library in C and the scenario file it reads."""
