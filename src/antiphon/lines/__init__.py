"""Ways to reach a system: one adapter of `line.Line` for each that the client speaks."""
