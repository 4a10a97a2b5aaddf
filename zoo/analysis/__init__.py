"""What can be said about any `nn.Module`: one run is recorded, every figure is read from the record."""
