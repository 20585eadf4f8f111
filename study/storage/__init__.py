"""Storage: the place of a study's trials, and the locks of its drivers."""
