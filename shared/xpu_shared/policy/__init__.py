"""Which devices to prefer: functions of sets of ids."""
