"""Results: studies read into frozen records."""
