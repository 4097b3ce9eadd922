"""Headless Chromium, driven over its DevTools protocol: what a person sees and does, without a driver of anyone else.

async with browser() as page:
    await page.open("http://127.0.0.1:8000/")
    assert await page.value("document.title") == "Overview – marketd"
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.eventually import eventually

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_S = 60
_ANSWER_S = 60
PATIENCE_S = 60.0
"""How long a page may take to show what it should: much, for two cores may do six other things meanwhile."""

_PLACE = """async (words, among) => {
    const one = [...document.querySelectorAll(among)]
        .find((one) => one.innerText.trim().includes(words) && one.checkVisibility());
    if (!one) return null;
    one.scrollIntoView({ block: "center" });
    const middle = () => {
        const box = one.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    };
    const before = middle();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const after = middle();
    const still = before.x === after.x && before.y === after.y;
    return still && one.contains(document.elementFromPoint(after.x, after.y)) ? after : null;
}"""
"""The middle of the first visible thing that says words; null while it moves or is covered."""

_CHOOSE = """(selector, value) => {
    const one = document.querySelector(selector);
    if (!one || ![...one.options].some((option) => option.value === value)) return false;
    one.value = value;
    one.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
}"""


def chromium() -> str | None:
    """The browser of this machine; None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab. ``problems`` are console errors, exceptions, refusals of the content policy and failed loads.

    ``listeners`` are called with the events of the protocol that they are named after.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.listeners: dict[str, Callable[[dict[str, Any]], object]] = {}

    async def listen(self) -> None:
        """Take answers and events until the browser is gone."""
        async for text in self._socket:
            message = json.loads(text)
            if (waiting := self._waiting.pop(message.get("id", 0), None)) and not waiting.done():
                waiting.set_result(message)
            elif "method" in message:
                self._note(message["method"], message["params"])

    def _note(self, method: str, given: dict[str, Any]) -> None:
        if listener := self.listeners.get(method):
            listener(given)
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            words = [str(one.get("value", one.get("description", ""))) for one in given["args"]]
            self.problems.append(f"console.{given['type']}: {' '.join(words)}")
        elif method == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.problems.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        waiting = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        answer = await asyncio.wait_for(waiting, _ANSWER_S)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    async def prepare(self) -> None:
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await eventually(
            lambda: self.value("document.readyState === 'complete'"),
            timeout=PATIENCE_S,
            message=f"{url} does not load",
        )

    async def value(self, expression: str) -> Any:
        """What JavaScript makes of ``expression``."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def text(self) -> str:
        """What is written on the page."""
        return str(await self.value("document.body.innerText"))

    async def sees(self, words: str, *, within: float = PATIENCE_S) -> None:
        async def there() -> bool:
            text = await self.text()
            assert words in text, f"no {words!r} in: {text[:2000]}"
            return True

        await eventually(there, timeout=within)

    async def becomes(self, expression: str, wanted: Any, *, within: float = PATIENCE_S) -> None:
        """Wait until JavaScript makes ``wanted`` of ``expression``: effects come a moment after the text."""

        async def there() -> bool:
            found = await self.value(expression)
            assert found == wanted, f"{expression} is {found!r}, not {wanted!r}"
            return True

        await eventually(there, timeout=within)

    async def choose(self, selector: str, value: str) -> None:
        """Choose an entry of a list, once it is there."""
        await eventually(
            lambda: self.value(f"({_CHOOSE})({json.dumps(selector)}, {json.dumps(value)})"),
            timeout=PATIENCE_S,
            message=f"no {value!r} in {selector}",
        )

    async def click_at(self, x: float, y: float) -> None:
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def click(self, words: str, *, among: str = "button, a, summary") -> None:
        """Click the first thing that says ``words``, once it stands still and nothing lies over it."""
        place = await eventually(
            lambda: self.value(f"({_PLACE})({json.dumps(words)}, {json.dumps(among)})"),
            timeout=PATIENCE_S,
            message=f"nothing says {words!r}",
        )
        await self.click_at(place["x"], place["y"])

    async def type(self, selector: str, text: str) -> None:
        """Put ``text`` in the place of what stands in a field, once it takes the keyboard: a dialog does a moment after
        it is there."""
        field = f"document.querySelector({json.dumps(selector)})"
        takes = (
            f"(one => one ? (one.focus(), one.select?.(), document.activeElement === one) : false)({field})"
        )
        await eventually(
            lambda: self.value(takes), timeout=PATIENCE_S, message=f"{selector} takes no keyboard"
        )
        await self.call("Input.insertText", text=text)
        await self.becomes(f"{field}?.value", text)

    async def press(self, key: str) -> None:
        # Only a key with a text types; Enter in a field sends its form because of it.
        text = {"Enter": "\r"}.get(key, "")
        number = {
            "Enter": 13,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
            "PageUp": 33,
            "PageDown": 34,
            "End": 35,
            "Home": 36,
            "Escape": 27,
        }[key]
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=number,
            )

    async def drag(self, x: float, y: float, by: float) -> None:
        """Take hold at a place and move it so many pixels to the right, in steps as a hand does.

        Each step is drawn before the next: else the browser makes one of several.
        """
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        await self.call(
            "Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1
        )
        for step in range(1, 21):
            place = x + by * step / 20
            await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=place, y=y, buttons=1)
            await self.value("new Promise((done) => requestAnimationFrame(done))")
        await self.call(
            "Input.dispatchMouseEvent", type="mouseReleased", x=x + by, y=y, button="left", clickCount=1
        )

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def dark(self, wanted: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path) -> None:
        answer = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def browser(width: int = 1400, height: int = 900) -> AsyncIterator[Page]:
    """A browser with an empty profile and one tab."""
    program = chromium()
    assert program, "no Chromium on this machine"
    with tempfile.TemporaryDirectory(prefix="marketd-browser-", ignore_cleanup_errors=True) as profile:
        process = _start(
            [
                program,
                "--headless=new",
                "--no-sandbox",  # the tests may run as root, where Chromium's own sandbox cannot
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--lang=en-US",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            home=profile,
        )
        try:
            async with _tab(Path(profile), process) as page:
                await page.size(width, height)
                yield page
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _start(command: list[str], home: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, "HOME": home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@asynccontextmanager
async def _tab(profile: Path, process: subprocess.Popen[bytes]) -> AsyncIterator[Page]:
    told = profile / "DevToolsActivePort"

    def port() -> list[str]:
        assert process.poll() is None, f"Chromium ended with {process.returncode}"
        lines = told.read_text().split() if told.exists() else []
        return lines if len(lines) == 2 else []

    number, path = await eventually(port, timeout=_START_S, message="Chromium does not start")
    address = f"ws://127.0.0.1:{number}"
    async with connect(f"{address}{path}", max_size=None) as root:
        await root.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        answer = json.loads(await root.recv())
        target = next(one for one in answer["result"]["targetInfos"] if one["type"] == "page")
    async with connect(f"{address}/devtools/page/{target['targetId']}", max_size=None) as socket:
        page = Page(socket)
        listening = asyncio.ensure_future(page.listen())
        try:
            await page.prepare()
            yield page
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
