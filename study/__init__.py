"""Studies: specs, trials, records and what they show."""
