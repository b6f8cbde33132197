"""What `scripts/bench` runs: figures as ratios in one run, never a test's pass or fail by the clock."""
