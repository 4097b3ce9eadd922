"""Where the chart draws levels, read from its canvas."""

from __future__ import annotations

from typing import Any

from tests.support.browser import Page


async def lines(page: Page) -> list[dict[str, Any]]:
    """The levels in sight, in one and the same picture: price, side, where their marks are, and how many dashes are
    drawn beside them."""
    found: list[dict[str, Any]] = await page.value(_LINES)
    return found


_LINES = """new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
    const canvas = document.querySelector(".chart-box canvas");
    if (!canvas) return done([]);
    const frame = canvas.getBoundingClientRect();
    const scale = canvas.width / frame.width;
    const pen = canvas.getContext("2d");
    const probe = document.body.appendChild(document.createElement("i"));
    const dashes = (y, side) => {
        probe.style.color = `var(--${side === "support" ? "up" : "down"})`;
        const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
        const middle = Math.round((y - frame.y) * scale);
        const counts = [-2, -1, 0, 1, 2].map((off) => {
            const line = pen.getImageData(0, Math.max(middle + off, 0), canvas.width, 1).data;
            const is = (from) => wanted.every((one, n) => Math.abs(line[from + n] - one) < 8);
            let count = 0;
            for (let at = 4; at < line.length; at += 4) if (is(at) && !is(at - 4)) count++;
            return count;
        });
        return Math.max(...counts);
    };
    const found = [...document.querySelectorAll(".chart-tags button")].map((one) => {
        const box = one.getBoundingClientRect();
        const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        return { price: Number(one.dataset.price), side: one.className, x, y, dashes: dashes(y, one.className) };
    });
    probe.remove();
    done(found);
})))"""
