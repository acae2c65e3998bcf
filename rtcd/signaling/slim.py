"""What Autobahn keeps of each connection and an open one can do without: two fifths of what an idle WebSocket takes.

Options are the same for all connections, and are looked up in the factory. What is only for the handshake goes when that is
over, and so do notes that say, of nearly every connection, that something has not happened; a class attribute says it.
"""

from __future__ import annotations

from typing import Any

from autobahn.websocket.protocol import WebSocketProtocol

OPTIONS = frozenset(
    one for one in (*WebSocketProtocol.CONFIG_ATTRS_COMMON, *WebSocketProtocol.CONFIG_ATTRS_SERVER)
    if not one.startswith("autoPing"))
"""Those of the factory. How often it is pinged a connection keeps, whatever the factory has later."""

OF_THE_HANDSHAKE = frozenset((
    "_transport_details", "_wskey", "http_headers", "http_request_data", "http_request_host", "http_request_params",
    "http_request_path", "http_request_uri", "http_response_data", "http_status_line", "openHandshakeTimeoutCall",
    "websocket_extensions", "websocket_origin", "websocket_protocols"))

UNTIL_IT_HAPPENS: dict[str, object] = {
    **dict.fromkeys((
        "closedByMe", "droppedByMe", "failedByMe", "triggered", "wasClean", "wasCloseHandshakeTimeout",
        "wasMaxFramePayloadSizeExceeded", "wasMaxMessagePayloadSizeExceeded", "wasOpenHandshakeTimeout",
        "wasServerConnectionDropTimeout", "wasServingFlashSocketPolicyFile"), False),
    **dict.fromkeys((
        "_perMessageCompress", "closeHandshakeTimeoutCall", "localCloseCode", "localCloseReason", "remoteCloseCode",
        "remoteCloseReason", "trackedTimings", "wasNotCleanReason", "websocket_protocol_in_use")),
}


class Queue(list[Any]):
    """As much of a deque as Autobahn needs, for what never has much in it: an empty deque takes 760 bytes."""

    def popleft(self) -> Any:
        """The first one. Raises IndexError."""
        return self.pop(0)


class Slim:
    """Mixed into a protocol: what an open connection does without."""

    factory: Any

    def __getattr__(self, name: str) -> Any:
        if name in OPTIONS:
            return getattr(self.factory, name)
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def slim(self) -> None:
        """The handshake is over."""
        self.__dict__ = {
            name: value for name, value in vars(self).items()
            if name not in OF_THE_HANDSHAKE and (value or name not in UNTIL_IT_HAPPENS)}
        self.send_queue = Queue()


for _name in OF_THE_HANDSHAKE:
    setattr(Slim, _name, None)
for _name, _value in UNTIL_IT_HAPPENS.items():
    setattr(Slim, _name, _value)
