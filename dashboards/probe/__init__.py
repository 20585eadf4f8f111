"""The page of a probe: scores beside baselines, classes, confusions."""
