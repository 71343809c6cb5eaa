"""The Level-Zero sidecar: what Intel's GPU driver library knows of health, memory and sensors."""
