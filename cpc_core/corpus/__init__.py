"""Audio at rest and on its way to a training step: importing a folder, the Parquet corpus, and the
order it is read in.
"""
