"""How many tiles an image is cut into, and how many image tokens it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from tinymed.models.shape.connectors import internvl_fold
from tinymed.models.shape.fields import Fields

_WORTH_SHRINKING = 1.1
"""LLaVA-OneVision shrinks what is larger than it should be by more than this."""
_TILES_A_SIDE = 4
"""Of Idefics3 and every SmolVLM, as their image processors are published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCount:
    """What becomes of one image."""

    tiles: int
    tokens: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What a vision encoder gives of one tile."""

    side: int
    """Patches along one side."""
    image_px: int
    tokens: int
    """With those before the patches."""


ImageTokens = Callable[[Fields, Grid], ImageCount]
"""Counts them for a square image of the encoder's own size, by the whole's configuration."""


def llava_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """One a patch, the first left out where the configuration says so."""
    drops = fields.get("vision_feature_select_strategy", "default") == "default"
    return ImageCount(tiles=1, tokens=grid.tokens - drops)


def onevision_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """As LLaVA-NeXT's, shrunk where they are too many."""
    word = fields.word("vision_aspect_ratio", "anyres_max_9").rpartition("_")[2]
    return _pinpoint_tokens(fields, grid, most_tiles=int(word) if word.isdigit() else None)


def next_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """The whole image, its tiles, and a token at the end of each row of them."""
    return _pinpoint_tokens(fields, grid, most_tiles=None)


def aya_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """One a block of patches that is folded."""
    return _one_tile(grid, fields.number("downsample_factor", 2))


def internvl_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """One a block of patches that is folded."""
    return _one_tile(grid, internvl_fold(fields))


def idefics_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """Every image is enlarged and cut; the whole comes last."""
    vision = Fields(values=fields.get("vision_config"), where=fields.where)
    longest, tile = (_edge(vision.get(name)) for name in ("size", "max_image_size"))
    remarks: tuple[str, ...] = ()
    if longest and tile:
        side = -(-longest // tile)
    else:
        side = _TILES_A_SIDE
        remarks = (f"A square image is taken to be cut into {side} x {side} tiles.",)
    tiles = side**2 + 1 if side > 1 else 1
    one = (grid.side // fields.number("scale_factor", 2)) ** 2
    return ImageCount(tiles=tiles, tokens=tiles * one, remarks=remarks)


def _edge(size: Any) -> int:
    """The longest that a side may be; 0 where that is not said."""
    edge = size.get("longest_edge") if isinstance(size, dict) else None
    return edge if isinstance(edge, int) and edge > 0 else 0


def paligemma_tokens(_fields: Fields, grid: Grid) -> ImageCount:
    """One a patch."""
    return ImageCount(tiles=1, tokens=grid.side**2)


def gemma3_tokens(fields: Fields, _grid: Grid) -> ImageCount:
    """As many as the configuration says."""
    return ImageCount(tiles=1, tokens=fields.number("mm_tokens_per_image", 256))


def merged_tokens(fields: Fields, grid: Grid) -> ImageCount:
    """One a block of patches that is merged, for an image of the size planned for."""
    count = _folded(grid, fields.number("spatial_merge_size", 2))
    remark = (
        f"Its encoder reads images of any size: {grid.image_px} x {grid.image_px} pixels are "
        "planned for."
    )
    return ImageCount(tiles=1, tokens=count.tokens, remarks=(remark,))


def _one_tile(grid: Grid, fold: int) -> ImageCount:
    """What becomes of an image that is not cut; whether it is, the configuration does not say."""
    count = _folded(grid, fold)
    remark = "One tile is counted; its image processor may cut a large image into several."
    return ImageCount(tiles=1, tokens=count.tokens, remarks=(remark,))


def _folded(grid: Grid, fold: int) -> ImageCount:
    return ImageCount(tiles=1, tokens=(grid.side // fold) ** 2)


def _pinpoint_tokens(fields: Fields, grid: Grid, *, most_tiles: int | None) -> ImageCount:
    points = _pinpoints(fields)
    if not points:
        return ImageCount(
            tiles=1, tokens=grid.side**2, remarks=("No sizes of tiled images are stated.",)
        )
    own = _cut(grid, grid.image_px, points, most_tiles)
    largest = _cut(grid, max(map(max, points)), points, most_tiles)
    remarks: tuple[str, ...] = ()
    if largest.tokens > own.tokens:
        remark = (
            f"An image of {grid.image_px} x {grid.image_px} pixels is planned for; a larger one "
            f"becomes up to {largest.tokens:,} image tokens in {largest.tiles} tiles."
        )
        remarks = (remark,)
    return ImageCount(tiles=own.tiles, tokens=own.tokens, remarks=remarks)


def _pinpoints(fields: Fields) -> list[tuple[int, int]]:
    """Heights and widths that images are fitted into."""
    points = fields.get("image_grid_pinpoints", [])
    return [
        (point[0], point[1])
        for point in (points if isinstance(points, list | tuple) else [])
        if isinstance(point, list | tuple)
        and len(point) == 2  # noqa: PLR2004  # height and width
        and all(isinstance(side, int) and side > 0 for side in point)
    ]


def _cut(
    grid: Grid, image_px: int, points: Sequence[tuple[int, int]], most_tiles: int | None
) -> ImageCount:
    """A square image, fitted into the size that wastes least of it."""
    height, width = max(points, key=lambda point: _fit(image_px, point))
    rows, columns = height // grid.image_px, width // grid.image_px
    # The margins of a square image in a longer frame are cut off again.
    side = min(rows, columns) * grid.side
    high, wide = (_without_margins(number * grid.side, side) for number in (rows, columns))
    if most_tiles is not None:
        ratio = sqrt(high * wide / (most_tiles * grid.side**2))
        if ratio > _WORTH_SHRINKING:
            high, wide = int(high // ratio), int(wide // ratio)
    return ImageCount(tiles=rows * columns + 1, tokens=high * wide + high + grid.side**2)


def _without_margins(length: int, side: int) -> int:
    return length - 2 * ((length - side) // 2)


def _fit(image_px: int, point: tuple[int, int]) -> tuple[int, int]:
    """How much of a square image a frame keeps, then how little of the frame is left empty."""
    scaled = min(point)
    kept = min(scaled**2, image_px**2)
    return kept, kept - point[0] * point[1]
