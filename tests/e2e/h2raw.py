# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand, as little as the tests need: frames, and a gRPC request in literal header fields."""
import struct

from tcp import read_exactly

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """One header field, never indexed, no Huffman; names and values under 127 bytes."""
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value


def grpc_headers(path, authority=b"echo.shop:50051"):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", authority),
              (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return b"".join(literal(n, v) for n, v in fields)


def grpc_request(stream, path=b"/outrigger.test.Echo/Unary", message=b"raw"):
    body = b"\0" + struct.pack(">I", len(message)) + message
    return frame(HEADERS, END_HEADERS, stream, grpc_headers(path)) + frame(DATA, END_STREAM, stream, body)


def read_frame(s):
    """(kind, flags, stream, payload)"""
    head = read_exactly(s, 9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream & 0x7FFFFFFF, read_exactly(s, struct.unpack(">I", b"\0" + head[:3])[0])


def read_response(s, stream):
    """Frames of one stream up to its end: {"data": bytes, "end": kind of the last frame}; settings are acknowledged."""
    data = b""
    while True:
        kind, flags, number, payload = read_frame(s)
        if kind == SETTINGS and not flags & ACK:
            s.sendall(frame(SETTINGS, ACK))
        if number != stream:
            continue
        if kind == DATA:
            data += payload
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            return {"data": data[5:], "end": kind}
