"""Node labels: values that fit, and the two ways to a node, a feature file of NFD's and the API server."""
