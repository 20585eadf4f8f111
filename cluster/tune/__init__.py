"""Studies on Ray Tune: trials from the dispatcher, reports to it, control requests applied."""
