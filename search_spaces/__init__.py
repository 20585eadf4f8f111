"""What a study may vary: named knobs, their ranges, and the space that turns a sample into a
configuration.
"""
