"""Speed and memory, as ratios against a limit that is measured in the same run: `make benchmark`."""
