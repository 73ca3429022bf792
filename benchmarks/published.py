"""The published pix2pix training step, as its users run it: what our speed is compared with.

Written after arXiv 1611.07004 with the defaults of PyTorch: eager, float32, one
image after the other through D, Adam as ``torch.optim.Adam`` gives it. Images are in [-1, 1].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def widths(depth: int, width: int) -> list[int]:
    return [3, *(width * min(2**level, 8) for level in range(depth))]


class Generator(nn.Module):
    """The U-Net of ``depth`` levels with instance norm."""

    def __init__(self, depth: int = 8, width: int = 64) -> None:
        super().__init__()
        channels = widths(depth, width)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(1, depth + 1):
            layers: list[nn.Module] = [nn.Conv2d(channels[level - 1], channels[level], 4, 2, 1)]
            if 1 < level < depth:
                layers.append(nn.InstanceNorm2d(channels[level]))
            self.down.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
        for level in range(depth, 0, -1):
            inputs = channels[level] * (1 if level == depth else 2)
            last = nn.Tanh() if level == 1 else nn.InstanceNorm2d(channels[level - 1])
            up = nn.ConvTranspose2d(inputs, channels[level - 1], 4, 2, 1)
            self.up.append(nn.Sequential(nn.ReLU(), up, last))

    def forward(self, image: Tensor) -> Tensor:
        features = []
        for layer in self.down:
            image = layer(image)
            features.append(image)
        image = self.up[0](features.pop())
        for layer in self.up[1:]:
            image = layer(torch.cat([features.pop(), image], 1))
        return image


def discriminator(width: int = 64) -> nn.Sequential:
    """The 70x70 PatchGAN with instance norm, of two images side by side."""
    layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers.append(nn.Conv2d(inputs * width, outputs * width, 4, stride, 1))
        layers += [nn.InstanceNorm2d(outputs * width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


class Pix2Pix:
    """Both networks and their optimizers; ``step`` is one iteration with least squares and L1."""

    def __init__(self, depth: int = 8, width: int = 64, device: str = "cpu") -> None:
        self.generator = Generator(depth, width).to(device)
        self.discriminator = discriminator(width).to(device)
        self.adams = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        ]

    def step(self, degraded: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of G and D."""
        generator_adam, discriminator_adam = self.adams
        restored = self.generator(degraded)

        self.discriminator.requires_grad_(True)
        discriminator_adam.zero_grad()
        fake = self.discriminator(torch.cat([degraded, restored.detach()], 1))
        real = self.discriminator(torch.cat([degraded, clean], 1))
        loss_fake = F.mse_loss(fake, torch.zeros_like(fake))
        discriminator_loss = (loss_fake + F.mse_loss(real, torch.ones_like(real))) * 0.5
        discriminator_loss.backward()
        discriminator_adam.step()

        self.discriminator.requires_grad_(False)
        generator_adam.zero_grad()
        verdict = self.discriminator(torch.cat([degraded, restored], 1))
        adversarial = F.mse_loss(verdict, torch.ones_like(verdict))
        generator_loss = adversarial + 100 * F.l1_loss(restored, clean)
        generator_loss.backward()
        generator_adam.step()
        return generator_loss.detach(), discriminator_loss.detach()
