"""The families of devices that a simulated node may have: a package each, and the table of all of them."""
