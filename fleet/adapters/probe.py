"""Whether a server answers. No HTTP library: `up` must start fast."""

from __future__ import annotations

import asyncio
from typing import Final

ANSWER_MAX_BYTES: Final = 65536


async def tcp_open(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether something listens there."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def http_has(host: str, port: int, path: str, expected: bytes = b"", timeout_s: float = 1.0) -> bool:
    """Whether a server answers 200 with `expected` in its answer."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                await writer.drain()
                answer = await reader.read(ANSWER_MAX_BYTES)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    head, _, body = answer.partition(b"\r\n\r\n")
    return b" 200 " in head.split(b"\r\n", 1)[0] and expected in body
