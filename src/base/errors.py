"""Antiphon's errors: one tree, and each knows its gRPC status and its WebSocket code.

    AntiphonError
    ├── BadRequest            the peer sent something wrong         INVALID_ARGUMENT      bad_request
    │   ├── NotFound          … that names what isn't there         NOT_FOUND             not_found
    │   └── WrongState        … at the wrong time                   FAILED_PRECONDITION   wrong_state
    ├── Denied                who asks may not                      PERMISSION_DENIED     denied
    │   └── Unauthenticated   … or does not say who he is           UNAUTHENTICATED       denied
    ├── AtCapacity            right request, no room now            RESOURCE_EXHAUSTED    at_capacity
    ├── Unavailable           what would do it is not there         UNAVAILABLE           unavailable
    ├── TimedOut              it took too long                      DEADLINE_EXCEEDED     timed_out
    ├── Misconfigured         the operator's settings are wrong     FAILED_PRECONDITION   misconfigured
    └── Internal              our own fault                         INTERNAL              internal

A message says what was wrong, with what value, and what would be right. `reason` is a constant for programs
(google.rpc.ErrorInfo.reason); `retry_after_s` is set where a retry makes sense; `where` names the field at fault, if
it is one's.
"""

from __future__ import annotations

from typing import ClassVar


class AntiphonError(Exception):
    """Root of the tree; `grpc_code` is the name of a grpc.StatusCode, `code` what a WebSocket client reads."""

    grpc_code: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "internal"
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self, message: str, *, reason: str | None = None, retry_after_s: float | None = None, where: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.retry_after_s = retry_after_s
        self.where = where


class BadRequest(AntiphonError):
    grpc_code = "INVALID_ARGUMENT"
    code = "bad_request"
    default_reason = "BAD_REQUEST"


class NotFound(BadRequest):
    grpc_code = "NOT_FOUND"
    code = "not_found"
    default_reason = "NOT_FOUND"


class WrongState(BadRequest):
    grpc_code = "FAILED_PRECONDITION"
    code = "wrong_state"
    default_reason = "WRONG_STATE"


class Denied(AntiphonError):
    grpc_code = "PERMISSION_DENIED"
    code = "denied"
    default_reason = "DENIED"


class Unauthenticated(Denied):
    grpc_code = "UNAUTHENTICATED"
    default_reason = "UNAUTHENTICATED"


class AtCapacity(AntiphonError):
    grpc_code = "RESOURCE_EXHAUSTED"
    code = "at_capacity"
    default_reason = "AT_CAPACITY"


class Unavailable(AntiphonError):
    grpc_code = "UNAVAILABLE"
    code = "unavailable"
    default_reason = "UNAVAILABLE"


class TimedOut(AntiphonError):
    grpc_code = "DEADLINE_EXCEEDED"
    code = "timed_out"
    default_reason = "TIMED_OUT"


class Misconfigured(AntiphonError):
    grpc_code = "FAILED_PRECONDITION"
    code = "misconfigured"
    default_reason = "MISCONFIGURED"


class Internal(AntiphonError):
    pass


BY_GRPC_CODE: dict[str, type[AntiphonError]] = {
    "INVALID_ARGUMENT": BadRequest,
    "NOT_FOUND": NotFound,
    "FAILED_PRECONDITION": WrongState,
    "PERMISSION_DENIED": Denied,
    "UNAUTHENTICATED": Unauthenticated,
    "RESOURCE_EXHAUSTED": AtCapacity,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": TimedOut,
    "INTERNAL": Internal,
}
