"""Signal processing of PPG in NumPy and SciPy: pure functions, samples on the last axis."""
