"""web3.py's provider on our own guarded session. Importing it loads web3: only who opens a node does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.types import RPCEndpoint

__all__ = ["RPCEndpoint", "connected"]

Post = Callable[[bytes], Awaitable[bytes]]


class _GuardedProvider(AsyncHTTPProvider):
    """Sends what web3 encodes by ``post``: one connection kept, no retry and no redirect that we do not know of.

    web3's own sender raises on HTTP 400 and 413 before it has read the body, where some providers say that the range
    of blocks is too wide.
    """

    def __init__(self, post: Post) -> None:
        # The address is the session's business; web3 would print it, key and all.
        super().__init__("http://node.invalid", exception_retry_configuration=None)
        self._post = post

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        return await self._post(request_data)


def connected(post: Post) -> AsyncWeb3[AsyncHTTPProvider]:
    """web3 over ``post``."""
    return AsyncWeb3(_GuardedProvider(post))
