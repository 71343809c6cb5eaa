"""The size of a node's enclave page cache (EPC): read from the processor, told to NFD and the API server."""
