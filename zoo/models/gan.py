"""GAN: a linear generator against a small perceptron, on points of the plane.

Goodfellow et al., "Generative adversarial nets", 2014, algorithm 1. Dive into Deep Learning, 20.1:

    generator       linear 2 -> 2
    discriminator   linear 2 -> 5, tanh, linear 5 -> 3, tanh, linear 3 -> 1

The generator can learn a Gaussian of any mean and covariance, which is what the book's data are.
The discriminator's score is high for real points; a sigmoid makes it a probability.
"""

from __future__ import annotations

from torch import nn


def gan_generator(latent: int = 2, features: int = 2) -> nn.Sequential:
    """Noise to points: (B, latent) -> (B, features)."""
    return nn.Sequential(nn.Linear(latent, features))


def gan_discriminator(features: int = 2) -> nn.Sequential:
    """Points to scores: (B, features) -> (B, 1)."""
    return nn.Sequential(
        nn.Linear(features, 5),  # (B, 5)
        nn.Tanh(),
        nn.Linear(5, 3),  # (B, 3)
        nn.Tanh(),
        nn.Linear(3, 1),  # (B, 1)
    )
