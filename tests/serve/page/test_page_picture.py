"""The picture: drawn from the levels as DICOM says, and moved by mouse, fingers and keys."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from page_driver import ask, canvas_pixels, load_image
from page_stand_in import StandIn
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut

from tinymed.images.receive import receive_image


def _box(window: Page) -> tuple[float, float, float, float]:
    box = window.locator("#surface").bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def _drag(window: Page, dx: float, dy: float, *, button: str = "left") -> None:
    x, y, width, height = _box(window)
    window.mouse.move(x + width / 2, y + height / 2)
    window.mouse.down(button=button)  # type: ignore[arg-type]
    window.mouse.move(x + width / 2 + dx, y + height / 2 + dy, steps=4)
    window.mouse.up(button=button)  # type: ignore[arg-type]


def _readout(window: Page) -> tuple[int, int, int]:
    canvas_pixels(window)
    words = window.locator("#readout").inner_text().split()
    return int(words[1]), int(words[4]), int(words[6])


WINDOWS = [
    ("grey8", 128, 256),
    ("grey16s", -600, 1500),
    ("grey16", 15000, 30000),
    ("grey16s", 40.5, 3),
]


def test_a_window_is_dicoms_own(window: Page) -> None:
    tables = window.evaluate(
        """async (windows) => {
            const levels = await import("/page/levels.js");
            return windows.map(([kind, center, width]) => {
                const bytes = new ArrayBuffer(kind === "grey8" ? 1 : 2);
                const frame = levels.frameOf({ kind, width: 1, height: 1 }, bytes);
                return Array.from(levels.shadesOf(frame, { center, width }, false)).filter(
                    (_, index) => kind === "grey8" || index % 11 === 0);
            });
        }""",
        WINDOWS,
    )
    ranges = {"grey8": (0, 256), "grey16": (0, 65536), "grey16s": (-32768, 65536)}
    for (kind, center, width), table in zip(WINDOWS, tables, strict=True):
        first, count = ranges[kind]
        view = Dataset()
        view.PhotometricInterpretation = "MONOCHROME2"
        view.BitsStored, view.PixelRepresentation = 8, 0
        view.WindowCenter, view.WindowWidth = center, width
        step = 1 if kind == "grey8" else 11
        expected = apply_voi_lut(np.arange(first, first + count, step), view)
        assert len(table) == len(expected)
        assert np.abs(np.array(table) - expected).max() <= 0.5


def test_the_radiograph_is_shown_as_the_model_sees_it(window: Page, chest: Path) -> None:
    load_image(window, chest)
    shown = window.evaluate(
        """async () => {
            const levels = await import("/page/levels.js");
            const server = await import("/page/server.js");
            const frame = await server.frame(location.hash.slice("#case=".length), 0);
            const shades = levels.shadesOf(frame, levels.ownWindow(frame), frame.is_inverted);
            const box = { x: 700, y: 900, width: 200, height: 100 };
            const pixels = new Uint32Array(box.width * box.height);
            levels.paint(frame, frame.pyramid[0], box, shades, pixels);
            return Array.from(new Uint8Array(pixels.buffer));
        }"""
    )
    pixels = np.array(shown, dtype=np.uint8).reshape(100, 200, 4)
    expected = receive_image(chest.read_bytes()).image.pixels[900:1000, 700:900]
    assert np.abs(pixels[..., :3].astype(int) - expected).max() <= 1
    assert (pixels[..., 3] == 255).all()


def test_dragging_sets_the_window_with_either_button_and_reset_undoes_it(
    window: Page, chest: Path
) -> None:
    load_image(window, chest)
    before, (center, width, zoom) = canvas_pixels(window), _readout(window)
    assert (center, width) == (15000, 30000)
    _drag(window, 0, -60)
    brighter = canvas_pixels(window)
    assert sum(brighter) > sum(before)
    _drag(window, 80, 0, button="right")
    _, wider, same_zoom = _readout(window)
    assert wider > width
    assert same_zoom == zoom
    expect(window.locator("#preset")).to_have_value("manual")
    window.locator("#reset").click()
    assert canvas_pixels(window) == before


@pytest.mark.slow
def test_zoom_pan_and_invert_change_what_is_drawn(window: Page, chest: Path) -> None:
    load_image(window, chest)
    before, (_, _, zoom) = canvas_pixels(window), _readout(window)
    window.locator("#invert").click()
    inverted = canvas_pixels(window)
    assert inverted != before
    # The middle of the canvas is picture, whose shades are turned round.
    middle = len(before) // 2
    assert inverted[middle] == pytest.approx(255 - before[middle], abs=1)
    window.locator("#invert").click()
    x, y, width, height = _box(window)
    window.mouse.move(x + width / 4, y + height / 4)
    window.mouse.wheel(0, -400)
    canvas_pixels(window)
    assert _readout(window)[2] > zoom
    zoomed = canvas_pixels(window)
    window.locator("[data-tool=pan]").click()
    _drag(window, 60, 40)
    panned = canvas_pixels(window)
    assert panned != zoomed
    _drag(window, -60, -40)
    assert canvas_pixels(window) == zoomed
    window.locator("[data-tool=zoom]").click()
    _drag(window, 0, 60)
    assert _readout(window)[2] < zoom * 3
    window.mouse.dblclick(x + width / 2, y + height / 2)
    assert canvas_pixels(window) == before


@pytest.mark.slow
def test_keys_on_the_picture_do_what_the_mouse_does(window: Page, small_image: Path) -> None:
    load_image(window, small_image)
    before, (center, width, zoom) = canvas_pixels(window), _readout(window)
    window.locator("#surface").focus()
    window.keyboard.press("ArrowUp")
    assert _readout(window)[0] < center
    window.keyboard.press("ArrowRight")
    assert _readout(window)[1] > width
    window.keyboard.press("+")
    assert _readout(window)[2] > zoom
    zoomed = canvas_pixels(window)
    window.keyboard.press("Shift+ArrowLeft")
    assert canvas_pixels(window) != zoomed
    window.keyboard.press("i")
    expect(window.locator("#invert")).to_have_attribute("aria-pressed", "true")
    window.keyboard.press("m")
    expect(window.locator("[data-tool=pan]")).to_have_attribute("aria-pressed", "true")
    window.keyboard.press("r")
    assert canvas_pixels(window) == before
    described = window.locator("#canvas")
    expect(described).to_have_attribute(
        "aria-label",
        f"Medical image CT, 128 by 128 pixels. Window center {center}, "
        f"width {width}. Zoom {zoom} %.",
    )


@pytest.mark.slow
def test_presets_are_offered_for_hounsfield_units_alone(
    window: Page, small_image: Path, film: Path
) -> None:
    load_image(window, small_image)
    window.locator("#preset").select_option("ct-bone")
    assert _readout(window)[:2] == (400, 1800)
    window.locator("#preset").select_option("full")
    values = receive_image(small_image.read_bytes()).levels
    assert values is not None
    low, high = int(values.values.min()), int(values.values.max())
    center, width, _ = _readout(window)
    assert center == pytest.approx((low + high + 1) / 2, abs=0.51)
    assert width == high - low + 1
    load_image(window, film)
    assert window.locator("#preset option").count() == 3


def test_the_slider_shows_frames_and_a_question_is_about_the_one_shown(
    window: Page, stand_in: StandIn, film: Path
) -> None:
    load_image(window, film)
    middle = canvas_pixels(window)
    expect(window.locator("#frame-words")).to_have_text("5 / 10")
    window.locator("#frame").fill("8")
    expect(window.locator("#frame-words")).to_have_text("9 / 10")
    for _ in range(100):
        if canvas_pixels(window) != middle:
            break
    assert canvas_pixels(window) != middle
    turn = ask(window, "Is there a mass?")
    expect(turn.locator(".asked")).to_contain_text("Frame 9")
    assert stand_in.asked[0]["frame"] == 8
    window.locator("#surface").focus()
    for _ in range(4):
        window.keyboard.press("[")
    expect(window.locator("#frame-words")).to_have_text("5 / 10")
    for _ in range(100):
        if canvas_pixels(window) == middle:
            break
    assert canvas_pixels(window) == middle


@pytest.mark.slow
def test_colour_is_shown_as_it_is(window: Page, tmp_path: Path) -> None:
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[:, :30], colours[:, 30:] = (200, 30, 60), (10, 120, 250)
    path = tmp_path / "colours.png"
    Image.fromarray(colours).save(path)
    load_image(window, path)
    canvas_pixels(window)
    seen = window.evaluate(
        """() => {
            const canvas = document.getElementById("canvas");
            const { width, height } = canvas;
            const context = canvas.getContext("2d");
            const at = (x) => context.getImageData(x * width, height / 2, 1, 1).data;
            return [Array.from(at(0.25)), Array.from(at(0.75))];
        }"""
    )
    assert seen == [[200, 30, 60, 255], [10, 120, 250, 255]]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1025, 513), (700, 1), (16, 3000)])
def test_odd_sizes_are_halved_to_their_mean(window: Page, size: tuple[int, int]) -> None:
    width, height = size
    seen = window.evaluate(
        """async ([width, height]) => {
            const { frameOf } = await import("/page/levels.js");
            const levels = new Uint16Array(width * height).fill(1000);
            const frame = frameOf({ kind: "grey16", width, height }, levels.buffer);
            return frame.pyramid.map(({ width, height, values }) =>
                [width, height, values.length, values.every((value) => value === 1000)]);
        }""",
        [width, height],
    )
    expected = []
    while True:
        expected.append([width, height, width * height, True])
        if max(width, height) <= 512:
            break
        width, height = (width + 1) // 2, (height + 1) // 2
    assert seen == expected


@pytest.mark.slow
def test_two_fingers_zoom_and_one_sets_the_window(
    browser: object, running: object, stand_in: StandIn, chest: Path
) -> None:
    context = browser.new_context(  # type: ignore[attr-defined]
        viewport={"width": 360, "height": 740}, has_touch=True, locale="en-US"
    )
    page: Page = context.new_page()
    page.goto(running.url)  # type: ignore[attr-defined]
    load_image(page, chest)
    devtools = context.new_cdp_session(page)
    x, y, width, height = _box(page)
    middle = {"x": x + width / 2, "y": y + height / 2}

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [
            {"x": middle["x"] + dx, "y": middle["y"] + dy, "id": i}
            for i, (dx, dy) in enumerate(points)
        ]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    center, wide, zoom = _readout(page)
    touch("touchStart", (0, 0))
    touch("touchMove", (40, 0))
    touch("touchMove", (80, 0))
    touch("touchEnd")
    assert _readout(page)[1] > wide
    touch("touchStart", (-20, 0), (20, 0))
    touch("touchMove", (-40, 0), (40, 0))
    touch("touchMove", (-80, 0), (80, 0))
    touch("touchEnd")
    assert _readout(page)[2] >= 2 * zoom
    assert _readout(page)[0] == center
    context.close()


@pytest.mark.slow
def test_what_the_server_says_of_a_frame_has_to_fit_its_bytes(
    window: Page, small_image: Path
) -> None:
    facts = {"kind": "grey16", "width": 4, "height": 4, "is_inverted": False}
    window.route(
        "**/frames/*",
        lambda route: route.fulfill(body=b"12", headers={"X-Tinymed-Frame": json.dumps(facts)}),
    )
    window.locator("#file").set_input_files(small_image)
    expect(window.locator("#open-problem")).to_have_text("Frame 1 cannot be shown.")
    expect(window.locator("#drop")).to_be_visible()
