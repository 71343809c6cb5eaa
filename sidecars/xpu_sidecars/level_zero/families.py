"""The names of the metrics of GPUs: those of XPU Manager 2.x where it has them, so that its dashboards carry over."""

from xpu_shared.program.exposition import Family, Kind

GAUGE, COUNTER = Kind.GAUGE, Kind.COUNTER
INFO = Family("hw_gpu_info", GAUGE, "1; what the GPU is.")
FIRMWARE = Family("xpu_gpu_firmware_info", GAUGE, "1; a firmware of the GPU and its version.")
STATUS = Family("hw_status", GAUGE, "1 for the state something is in, 0 for its other states.")
TEMPERATURE = Family("hw_temperature_celsius", GAUGE, "Temperature, in degrees Celsius.")
TEMPERATURE_LIMIT = Family("hw_temperature_limit_celsius", GAUGE, "The temperature that the sensor's part stands.")
POWER = Family("hw_power_watts", GAUGE, "Power drawn since the last sample, in watts.")
POWER_LIMIT = Family("hw_power_limit_watts", GAUGE, "Power limit, in watts.")
ENERGY = Family("hw_energy_joules_total", COUNTER, "Energy used, in joules.")
UTILIZATION = Family("hw_gpu_utilization_ratio", GAUGE, "Share of the time that engines were busy, 0 to 1.")
MEMORY_USAGE = Family("hw_memory_usage_bytes", GAUGE, "Memory in use, in bytes.")
MEMORY_SIZE = Family("hw_memory_size_bytes", GAUGE, "Memory that software may allocate, in bytes.")
MEMORY_FREE = Family("hw_memory_free_bytes", GAUGE, "Memory that is free, in bytes.")
MEMORY_IO = Family("hw_memory_io_bytes_total", COUNTER, "Bytes read from and written to memory.")
MEMORY_BANDWIDTH = Family("hw_memory_bandwidth_limit_bytes_per_second", GAUGE, "The most that memory can carry.")
FREQUENCY = Family("hw_frequency_hertz", GAUGE, "Actual frequency, in hertz.")
FREQUENCY_REQUEST = Family("hw_frequency_request_hertz", GAUGE, "Frequency that the driver asks for, in hertz.")
FREQUENCY_LIMIT = Family("hw_frequency_limit_hertz", GAUGE, "Range of the frequency as it is set, in hertz.")
VOLTAGE = Family("hw_voltage_volts", GAUGE, "Voltage of the frequency's domain, in volts.")
THROTTLED = Family("hw_frequency_throttle_status", GAUGE, "1 while the frequency is held down for the reason, else 0.")
THROTTLED_RATIO = Family("xpu_frequency_throttled_ratio", GAUGE, "Share of the time that it was held down, 0 to 1.")
ERRORS = Family("hw_errors_total", COUNTER, "Errors since the driver was loaded.")
PCI_IO = Family("hw_gpu_io_bytes_total", COUNTER, "Bytes over the PCI link.")
PCI_BANDWIDTH = Family("hw_gpu_bandwidth_limit_bytes_per_second", GAUGE, "What the PCI link can carry as it is now.")
PCI_REPLAYS = Family("xpu_pci_replays_total", COUNTER, "Packets that had to be sent again over the PCI link.")
PCI_GENERATION = Family("xpu_pci_link_generation", GAUGE, "Generation of the PCI link, now and at most.")
PCI_LANES = Family("xpu_pci_link_lanes", GAUGE, "Lanes of the PCI link, now and at most.")
SAMPLE = Family("xpu_sample_timestamp_seconds", GAUGE, "Unix time of the device's newest sample.")
SNAPSHOT = Family("xpu_snapshot_timestamp_seconds", GAUGE, "Unix time at which this page's values were put together.")
ALLOCATION = Family("xpu_gpu_allocation_info", GAUGE, "1; a container has the GPU, or a share of it.")
HOLDERS = Family(
    "xpu_pod_resources_last_success_timestamp_seconds",
    GAUGE,
    "Unix time at which the kubelet last told who holds what.",
)
