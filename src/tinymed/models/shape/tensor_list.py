"""The tensors of a part, as they are counted up."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymed.models.shape.shape import TensorKind, TensorShape


@dataclass(slots=True, kw_only=True)
class TensorList:
    """The tensors of one part of a model."""

    part: str
    """One of `schemes.PARTS`."""
    prefix: str = ""
    """Before each name that is added."""
    is_expert: bool = False
    """Of the linear layers that are added."""
    tensors: list[TensorShape] = field(default_factory=list)

    def under(self, prefix: str, *, is_expert: bool = False) -> TensorList:
        """The same list, for names that begin with a further prefix."""
        return TensorList(
            part=self.part,
            prefix=self.prefix + prefix,
            is_expert=self.is_expert or is_expert,
            tensors=self.tensors,
        )

    def add(self, name: str, shape: tuple[int, ...], kind: TensorKind) -> None:
        """One tensor."""
        self.tensors.append(
            TensorShape(
                name=self.prefix + name,
                shape=shape,
                part=self.part,
                kind=kind,
                is_expert=self.is_expert,
            )
        )

    def linear(self, name: str, rows: int, columns: int, *, bias: bool) -> None:
        """A linear layer of `columns` numbers to `rows`."""
        self.add(f"{name}.weight", (rows, columns), "matrix")
        if bias:
            self.add(f"{name}.bias", (rows,), "bias")

    def norm(self, name: str, width: int, *, bias: bool) -> None:
        """A norm: with a bias it is LayerNorm, without it RMS norm."""
        self.add(f"{name}.weight", (width,), "norm")
        if bias:
            self.add(f"{name}.bias", (width,), "bias")

    def patches(self, name: str, width: int, kernel: tuple[int, ...], *, bias: bool) -> None:
        """The convolution that makes a patch a row of `width` numbers."""
        self.add(f"{name}.weight", (width, *kernel), "convolution")
        if bias:
            self.add(f"{name}.bias", (width,), "bias")
