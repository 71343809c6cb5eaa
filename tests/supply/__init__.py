"""What we depend on: the licences of all of it, and the bill of materials of the wheel."""
