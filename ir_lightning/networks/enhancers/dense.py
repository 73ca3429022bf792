"""The ordinary DenseNet module that the paper compares InfoAccum with (Fig. 14)."""

from collections.abc import Sequence

from ir_lightning.networks.enhancers.infoaccum import InfoAccum


class Dense(InfoAccum):
    """Eq. 13 of arXiv 2212.02198: densely connected 3x3 convolutions, x_l = concat(x_{l-1}, F_l).

    The single-branch InfoAccum. Its growth of 24 gives the number of parameters and of output
    channels of InfoAccum's three branches of 8.
    """

    def __init__(
        self,
        layers: int = 15,
        growth: int = 24,
        dilations: Sequence[int] = (1,),
        positions: int | Sequence[int] = (1,),
        norm: str = "instance",
    ) -> None:
        super().__init__(layers, growth, dilations, positions, norm)
