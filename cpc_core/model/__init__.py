"""The networks f and g, and their first weights."""
