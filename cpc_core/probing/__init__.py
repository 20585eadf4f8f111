"""Probes of frozen features beyond a trial's own: tasks, protocols and scores."""
