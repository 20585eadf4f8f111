"""The engine: Ray Tune, driven by the dispatcher."""
