"""Many models, a row each: what is to be done, by whom, and where the rows are kept."""
