"""The architectures of the notes, one a file. They import torch and nothing else of zoo."""
