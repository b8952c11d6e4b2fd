"""Side-by-side measurements: printed and written to bench/results.json, never asserted."""
