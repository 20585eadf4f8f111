"""Control: requests to a study, and their effects."""
