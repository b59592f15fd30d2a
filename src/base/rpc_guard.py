"""The server interceptor behind `base.rpc.server`.

It turns errors into rich status (also that of a message which is no protobuf), binds the caller's trace to the logs,
and closes a servicer's async generator in the task that ran it: left to itself, grpc.aio drops the generator of a
cancelled call, and its clean-up then runs whenever the garbage collector comes by.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from base import tracing
from base.errors import AntiphonError, BadRequest, Internal, Unavailable
from base.log import get_logger

Abort = Callable[[Any, AntiphonError], Awaitable[NoReturn]]

log = get_logger("rpc")


class ErrorGuard:
    """See the module. `abort` ends a call with an error."""

    def __init__(self, abort: Abort) -> None:
        self._abort = abort

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method: str = handler_call_details.method
        trace = tracing.from_metadata(handler_call_details.invocation_metadata)
        streaming = bool(handler.request_streaming)
        # A single request is read in here: what gRPC cannot read it fails without a word to us.
        read = None if streaming else handler.request_deserializer
        guarded = self._guard(_behaviour(handler), method, trace, read)
        make = maker(streaming, bool(handler.response_streaming))
        return make(guarded, handler.request_deserializer if streaming else None, handler.response_serializer)

    def _guard(self, behaviour: Any, method: str, trace: tracing.Trace | None, read: Any) -> Any:
        async def run(request: Any, context: Any) -> Any:
            traced: AbstractContextManager[object] = nullcontext() if trace is None else tracing.use(trace)
            with traced:
                try:
                    if read is not None:
                        request = read(request)
                    if not inspect.isasyncgenfunction(behaviour):
                        return await behaviour(request, context)
                    async with aclosing(behaviour(request, context)) as answers:
                        async for answer in answers:
                            await context.write(answer)
                except Exception as error:
                    await self._fail(context, method, error)

        return run

    async def _fail(self, context: Any, method: str, error: Exception) -> NoReturn:
        error = _leaf(error)
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, grpc.aio.InternalError):
            # Of a write, which fails so for one reason: the client is gone.
            log.debug("rpc.client_gone", method=method)
            error = Unavailable("the client is gone", reason="CLIENT_GONE")
        if isinstance(error, DecodeError):
            error = BadRequest(f"a message to {method} is no valid protobuf of its type", reason="MALFORMED")
        if not isinstance(error, AntiphonError):
            log.error("rpc.fault", method=method, exc_info=error)
            kind = type(error).__name__
            error = Internal(f"{method} failed inside ({kind}); the server's log says more", reason="FAULT")
        await self._abort(context, error)
        raise AssertionError("abort returned")


# grpc asks for a subclass, but comes without types to subclass.
grpc.aio.ServerInterceptor.register(ErrorGuard)

_MAKERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def maker(streams_in: bool, streams_out: bool) -> Any:
    """gRPC's constructor of a method's handler."""
    return _MAKERS[streams_in, streams_out]


def _leaf(error: Exception) -> Exception:
    """What a TaskGroup wrapped: the first error of ours in it, else the first of all."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_leaf(e) for e in error.exceptions]
    return next((e for e in leaves if isinstance(e, AntiphonError)), leaves[0])


def _behaviour(handler: Any) -> Any:
    for name in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        if (found := getattr(handler, name)) is not None:
            return found
    raise AssertionError(f"a method handler without behaviour: {handler!r}")
