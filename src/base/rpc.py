"""gRPC as Antiphon uses it: the only place with channel and server options, and how errors travel.

asyncio only. A channel or server belongs to the event loop that it was made in, and is closed before that loop ends.

Options, and why:
- A peer that is gone without a word (a pulled cable, a stopped machine) is noticed within 15 s: a ping after 10 s of
  quiet, 5 s for its answer, from both ends. Servers allow a ping every 5 s, also without calls.
- A channel tries again after 0.1 s, then up to every 2 s: a worker is back soon after its restart.
- A channel has its own connection and heeds no proxy variable: peers are ours, and loopback must never leave the host.
- Two servers never share a port (no SO_REUSEPORT): a port that is taken must be an error.
- A message is at most 4 MiB; the largest we send is 100 ms of audio or a registry snapshot.

An `AntiphonError` raised by a servicer's method ends its call with google.rpc rich status: `ErrorInfo` (reason, domain
"antiphon") and, where a retry makes sense, `RetryInfo`. A message that cannot be read is INVALID_ARGUMENT, in unary
calls too. Anything else raised is logged and becomes INTERNAL. `error_from_rpc` is the way back.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from base.address import is_loopback
from base.address import split_address as split_address
from base.errors import BY_GRPC_CODE, AntiphonError, BadRequest, Internal, Misconfigured, Unavailable
from base.rpc_guard import ErrorGuard, maker
from base.rpc_token import NONE as NONE
from base.rpc_token import Token as Token
from base.rpc_token import TokenChannel, TokenGuard
from base.rpc_token import read_token as read_token

DOMAIN = "antiphon"
"""google.rpc.ErrorInfo.domain of every error of ours."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
UNREACHABLE = "UNREACHABLE"
"""`reason` of an Unavailable that no peer sent: there was no peer, or the connection broke."""

_DETAILS = "grpc-status-details-bin"
_MAX_MESSAGE_CHARS = 1_000
"""Of an error: it travels in a header, and peers refuse long ones."""

_Options = tuple[tuple[str, int | str], ...]

_BOTH: _Options = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)
CHANNEL_OPTIONS: _Options = (
    *_BOTH,
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
SERVER_OPTIONS: _Options = (
    *_BOTH,
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


def server(
    token: Token = NONE, *, at_once: int | None = None, handshake_s: float = 10.0, idle_s: float | None = None
) -> grpc.aio.Server:
    """A server that is not bound or started. Servicers raise `AntiphonError`s. With a token, callers need one.

    `at_once`: calls at a time; one more is RESOURCE_EXHAUSTED before it reaches anybody. `handshake_s`: until a
    connection speaks HTTP/2 (gRPC's own: two minutes); `idle_s`: how long it is kept without a call (None: for good).
    """
    guards = (ErrorGuard(abort), TokenGuard(token, maker)) if token else (ErrorGuard(abort),)
    options = (*SERVER_OPTIONS, ("grpc.server_handshake_timeout_ms", round(handshake_s * 1000)))
    if idle_s is not None:
        options += (("grpc.max_connection_idle_ms", round(idle_s * 1000)),)
    return grpc.aio.server(interceptors=guards, options=options, maximum_concurrent_rpcs=at_once)


def channel(address: str, token: Token = NONE) -> grpc.aio.Channel:
    """A channel to "host:port", whose calls carry the token; the caller closes it."""
    opened = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    return TokenChannel(opened, token) if token else opened


def secure_channel(address: str, roots: bytes | None = None) -> grpc.aio.Channel:
    """A channel over TLS to somebody outside; `roots`: the certificates (PEM) to trust, None: those that all trust."""
    # Between us and somebody outside there may be a proxy that has to be used.
    options = tuple(option for option in CHANNEL_OPTIONS if option[0] != "grpc.enable_http_proxy")
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots), options=options)


def bind(server: grpc.aio.Server, host: str, port: int, *, tls: tuple[bytes, bytes] | None = None) -> str:
    """Binds and returns "host:port" with the port that was got (0 asks for a free one).

    `tls`: certificate with its chain, and its key (PEM). Raises `Misconfigured`: reason PORT_TAKEN where something else
    listens there, else BAD_ADDRESS.
    """
    address = join_address(host, port)
    try:
        if tls is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, grpc.ssl_server_credentials([(tls[1], tls[0])]))
    except RuntimeError as error:
        raise _why_not(host, port, error) from error
    if not bound:
        raise _why_not(host, port, None)
    return join_address(host, bound)


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def reachable_address(bound: str, advertise: str = "") -> str:
    """What to tell others: `advertise` (host or host:port) if set; a wildcard becomes this host's own address.

    The host's address is the one it would use towards another network; no packet is sent to find it. In a network that
    leads nowhere else (a container's internal one) it is the one that the host's own name stands for.
    """
    host, port = split_address(bound)
    if advertise:
        return advertise if advertise.rpartition(":")[2].isdigit() else join_address(advertise, port)
    if host not in {"0.0.0.0", "::"}:
        return bound
    family, probe = (socket.AF_INET, "192.0.2.1") if host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    with socket.socket(family, socket.SOCK_DGRAM) as found:
        try:
            found.connect((probe, 9))
            return join_address(str(found.getsockname()[0]), port)
        except OSError:
            return join_address(_named_address(family), port)


def _named_address(family: socket.AddressFamily) -> str:
    """What the host's own name stands for, which in a container is its address; loopback where it is nothing."""
    with contextlib.suppress(OSError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_DGRAM):
            if not is_loopback(str(address[0])):
                return str(address[0])
    return "127.0.0.1" if family is socket.AF_INET else "::1"


def _why_not(host: str, port: int, error: Exception | None) -> Misconfigured:
    """gRPC only says that it could not bind; the socket says why."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen()
    except OSError as found:
        if found.errno == errno.EADDRINUSE:
            return Misconfigured(
                f"port {port} on {host} is taken by another program; choose another, or 0 for any free one",
                reason="PORT_TAKEN",
            )
        said = found.strerror or str(found)
        return Misconfigured(f"cannot listen on {host} port {port}: {said}", reason="BAD_ADDRESS")
    return Misconfigured(f"cannot listen on {host} port {port}: {error}", reason="BAD_ADDRESS")


# --- errors ----------------------------------------------------------------------------------------------------------


async def abort(context: Any, error: AntiphonError) -> NoReturn:
    """Ends the call of `context` with `error` as rich status. Servicers may simply raise the error."""
    status = status_of(error)
    await context.abort(
        getattr(grpc.StatusCode, error.grpc_code), status.message, ((_DETAILS, status.SerializeToString()),)
    )
    raise AssertionError("abort returned")


def status_of(error: AntiphonError) -> status_pb2.Status:
    """`error` as google.rpc.Status."""
    details = [_packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN))]
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(max(0.0, error.retry_after_s) * 1e9))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = getattr(grpc.StatusCode, error.grpc_code).value[0]
    return status_pb2.Status(code=code, message=error.message[:_MAX_MESSAGE_CHARS], details=details)


def error_from_rpc(failed: grpc.aio.AioRpcError) -> AntiphonError:
    """The error that a call ended with, as the peer meant it; without rich status, as good as its code allows."""
    code: str = failed.code().name
    reason, retry_after_s = _read_details(failed.trailing_metadata())
    type_ = BY_GRPC_CODE.get(code) or _OTHER_CODES.get(code, Internal)
    if reason == Misconfigured.default_reason:
        type_ = Misconfigured
    if reason is None and type_ is Unavailable:
        reason = UNREACHABLE
    message = failed.details() or f"the peer answered {code} and nothing more"
    return type_(message, reason=reason, retry_after_s=retry_after_s)


_OTHER_CODES: dict[str, type[AntiphonError]] = {
    "CANCELLED": Unavailable,
    "ABORTED": Unavailable,
    "UNIMPLEMENTED": BadRequest,
    "OUT_OF_RANGE": BadRequest,
    "ALREADY_EXISTS": BadRequest,
}


def _packed(message: Any) -> any_pb2.Any:
    out = any_pb2.Any()
    out.Pack(message)
    return out


def _read_details(metadata: Iterable[tuple[str, str | bytes]] | None) -> tuple[str | None, float | None]:
    """Reason and delay of a rich status; what does not parse says nothing."""
    reason: str | None = None
    retry_after_s: float | None = None
    for key, value in metadata or ():
        if key != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            details = status_pb2.Status.FromString(value).details
        except Exception:  # DecodeError, of whichever protobuf implementation
            continue
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in details:
            if detail.Unpack(info):
                reason = info.reason or None
            elif detail.Unpack(retry):
                retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    return reason, retry_after_s


# --- health and reflection -------------------------------------------------------------------------------------------


class Health:
    """What grpc.health.v1.Health answers for the whole server ("") and each of its services."""

    def __init__(self, servicer: Any, names: tuple[str, ...]) -> None:
        self._servicer = servicer
        self._names = names

    async def set_serving(self, serving: bool) -> None:
        answer = health_pb2.HealthCheckResponse
        for name in ("", *self._names):
            await self._servicer.set(name, answer.SERVING if serving else answer.NOT_SERVING)


async def answers(channel: grpc.aio.Channel, *, timeout_s: float) -> bool:
    """Whether somebody is alive at the other end, by his health service; what that says is another matter."""
    try:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        return error.code() not in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    return True


async def serving(channel: grpc.aio.Channel, *, timeout_s: float) -> bool:
    """Whether the server at the other end says that it serves. Raises what kept it from answering."""
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=timeout_s, wait_for_ready=False
        )
    except grpc.aio.AioRpcError as failed:
        raise error_from_rpc(failed) from failed
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def add_standard_services(server: grpc.aio.Server, service_full_names: Iterable[str]) -> Health:
    """Adds health and reflection, before `server.start()`. Health says NOT_SERVING until told otherwise."""
    names = tuple(service_full_names)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    answers = Health(servicer, names)
    await answers.set_serving(False)
    return answers
