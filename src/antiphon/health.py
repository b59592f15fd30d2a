"""Whether one service is well, as its own health says."""

from __future__ import annotations

import asyncio

from base.errors import AntiphonError


async def ask(target: str, *, timeout_s: float) -> str:
    """Empty: it is. Else what is wrong. `target`: a URL, or host:port for gRPC. Raises Misconfigured for neither."""
    return await (_web if "://" in target else _grpc)(target, timeout_s)


async def _web(url: str, timeout_s: float) -> str:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as http,
            http.get(url, allow_redirects=False) as response,
        ):
            return "" if response.status == 200 else f"answered {response.status}: {(await response.text())[:200]}"
    except TimeoutError:
        return f"did not answer within {timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


async def _grpc(address: str, timeout_s: float) -> str:
    from base import rpc

    rpc.split_address(address)
    async with rpc.channel(address) as channel:
        try:
            async with asyncio.timeout(timeout_s):
                return "" if await rpc.serving(channel, timeout_s=timeout_s) else "is there and does not serve"
        except AntiphonError as error:
            return error.message
        except TimeoutError:
            return f"did not answer within {timeout_s:g} s"
