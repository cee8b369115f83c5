"""Fingers on a page, as a phone reports them."""

from __future__ import annotations


class Fingers:
    """Fingers on the browser's own touch screen: what they touch captures them, as it does on a phone."""

    def __init__(self, page):
        self._page, self._session = page, page.context.new_cdp_session(page)

    def put(self, kind, points):
        """Sends one event with where fingers are, by number; without any, all that are down."""
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in points.items()]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def move(self, *ways, steps=8):
        """Moves fingers from where they are put down to where they are lifted, each `((x, y), (x, y))`."""
        self.put("touchStart", dict(enumerate(start for start, _ in ways)))
        for step in range(1, steps + 1):
            share = step / steps
            now = [(x + (u - x) * share, y + (v - y) * share) for (x, y), (u, v) in ways]
            self.put("touchMove", dict(enumerate(now)))
        self.put("touchEnd", {})
        self.settle()

    def settle(self):
        """Waits for moves, which a page is told of once a frame."""
        self._page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
