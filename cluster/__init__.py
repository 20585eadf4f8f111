"""Studies on Ray: Tune is the engine, Train runs the workers, Data imports, Jobs submits."""

from cluster.environment import prepare

prepare()
