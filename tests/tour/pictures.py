"""Pictures of pages with at most 256 colors: a quarter of the bytes, and the eye sees no difference."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

from playwright.sync_api import Page

# Runs in the browser. It reads the picture, counts the colors, and replaces each pixel's color by the nearest kept one.
QUANTIZE = """
async (png) => {
    const bitmap = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const data = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    const counts = new Map();
    for (let at = 0; at < data.length; at += 4) {
        const color = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
        counts.set(color, (counts.get(color) || 0) + 1);
    }
    const kept = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 256).map(([color]) => color);
    const nearest = new Map(kept.map((color, index) => [color, index]));
    const apart = (a, b) => ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2
        + ((a & 255) - (b & 255)) ** 2;
    const find = (color) => {
        let best = 0;
        for (let index = 1; index < kept.length; index++)
            if (apart(color, kept[index]) < apart(color, kept[best])) best = index;
        nearest.set(color, best);
        return best;
    };
    const pixels = new Uint8Array(data.length / 4);
    for (let at = 0; at < data.length; at += 4) {
        const color = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
        pixels[at / 4] = nearest.has(color) ? nearest.get(color) : find(color);
    }
    let text = '';
    for (let at = 0; at < pixels.length; at += 32768) text += String.fromCharCode(...pixels.subarray(at, at + 32768));
    return {width: bitmap.width, height: bitmap.height, colors: kept, pixels: btoa(text)};
}
"""


def take(page: Page, blank: Page, path: Path) -> None:
    """The window of `page` as a PNG with a palette. `blank` is a page without a Content-Security-Policy."""
    shot = base64.b64encode(page.screenshot(animations="disabled", caret="hide")).decode()
    found = blank.evaluate(QUANTIZE, shot)
    path.write_bytes(indexed(found["width"], found["height"], found["colors"], base64.b64decode(found["pixels"])))


def indexed(width: int, height: int, colors: list[int], pixels: bytes) -> bytes:
    """A PNG with a palette: https://www.w3.org/TR/png-3/"""
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 3, 0, 0, 0])
    palette = b"".join(color.to_bytes(3) for color in colors)
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
