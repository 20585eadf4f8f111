"""`cpc probe`: scores of models and baselines on a labelled corpus."""
