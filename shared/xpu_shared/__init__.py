"""What two deployables need: the plugin framework."""
