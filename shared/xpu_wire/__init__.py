"""Generated from proto/xpu_wire by make wire; never edited."""
