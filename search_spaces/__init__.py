"""Search spaces: knobs, their ranges, and the samplers and pruners that search them."""
