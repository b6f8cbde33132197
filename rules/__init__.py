"""What Tocsin detects: YAML, one rule a file, with its tests. Data, no code."""
