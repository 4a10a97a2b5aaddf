"""What can be said about any `nn.Module`: one run is recorded, figures are read from the record."""
