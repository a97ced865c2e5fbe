"""Making the packaged weights: rows, network, fit, calibration, export. Needs the extra `train` (torch)."""
