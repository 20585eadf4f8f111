"""Studies on Ray: Tune is the engine, Train runs the workers, Data feeds them, Jobs submits."""
