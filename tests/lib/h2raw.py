# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand (RFC 9113): a client and a server that send exactly the frames a test asks for, wrong ones too, and keep what they get.

Both ends of a proxied request can be played by one test, in one thread, line after line; each connection has a reader thread of its own,
which acknowledges SETTINGS and PING, gives window credit back (all of it can be switched off) and wakes whoever waits:

    server = Server(pod.listen(ip, port))                  # a listening socket; of a namespace, or of loopback
    client = Client(other_pod.connect(vip, vip_port))      # sends the preface and SETTINGS
    asked = client.request(grpc_fields("/a.B/C"))          # HEADERS; end=True for END_STREAM
    asked.data(b"...", end=True)                           # one DATA frame, whatever the window says; body() heeds the window
    served = server.accept().next_request()                # waits for the connection, then for a request on it
    served.wait_end(); served.fields; served.body_bytes    # [(b":method", b"POST"), ...], b"..."
    served.headers([(":status", "200")])
    served.headers([("grpc-status", "0")], end=True)       # trailers
    asked.wait_end(); asked.blocks[-1].fields              # each block: fields, never (names sent never-indexed), is_end
    asked.reset_code                                       # of RST_STREAM received; None if there was none

What no method does is sent as bytes: `client.send(frame(PING, 0, 0, b"short"), ...)`; `encode(fields)` makes a header block of literals;
a field may have a third member: NEVER (never indexed), INDEX (enters the table) or PLAIN, the default. `client.frames` has every frame
received, in order; `client.wait(fact, "what")` waits for anything. All waits end after LIMIT seconds with AssertionError.
`client.closed` tells how the peer ended the connection ("eof", "reset"), `client.goaway` is (last stream, code, debug data).
Options: settings={id: value}, ack=False (SETTINGS and PING stay unanswered), credit=False (no WINDOW_UPDATE), keep=False (DATA is
counted and summed with crc32 but not kept: for large bodies), preface=b"" (nothing is sent at the start).
`connection.hold()` stops reading from the socket, `connection.go_on()` reads on.
"""
import contextlib
import os
import queue
import socket
import struct
import threading
import time
import zlib
from collections import namedtuple

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 1, 4, 8, 0x20
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL,
 COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 8, 9
PLAIN, NEVER, INDEX = 0x00, 0x10, 0x40
LIMIT = 240 if os.environ.get("OUTRIGGER_TEST_WRAP") else 60

Frame = namedtuple("Frame", "kind flags stream payload")
Block = namedtuple("Block", "fields never is_end")


# ---- bytes ----

def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """`length`: what the frame says of its own size, if that is to be a lie."""
    return struct.pack(">I", len(payload) if length is None else length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings_frame(values):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in values.items()))


def integer(value, prefix_bits, first):
    """RFC 7541 §5.1, the prefix filled up with the bits of `first`."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = [first | limit], value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def to_bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def encode(fields):
    """A header block of literals with their names spelt out and no Huffman code."""
    out = []
    for name, value, *how in fields:
        name, value = to_bytes(name), to_bytes(value)
        out += [bytes([how[0] if how else PLAIN]), integer(len(name), 7, 0), name, integer(len(value), 7, 0), value]
    return b"".join(out)


def padded(payload, pad):
    return (0, payload) if pad is None else (PADDED, bytes([pad]) + payload + bytes(pad))


def header_frames(stream, block, end=False, pad=None, piece=16384, priority=b""):
    """HEADERS, and as many CONTINUATIONs as pieces of that size take."""
    first, rest = block[:piece], block[piece:]
    flag, payload = padded(priority + first, pad)
    flags = flag | (END_STREAM if end else 0) | (PRIORITY_FLAG if priority else 0)
    pieces = [rest[i:i + piece] for i in range(0, len(rest), piece)]
    out = [frame(HEADERS, flags | (0 if pieces else END_HEADERS), stream, payload)]
    return b"".join(out + [frame(CONTINUATION, END_HEADERS if i == len(pieces) - 1 else 0, stream, p) for i, p in enumerate(pieces)])


def grpc_fields(path="/outrigger.test.Echo/Unary", authority="echo.shop:50051", extra=()):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority),
            ("content-type", "application/grpc"), ("te", "trailers"), *extra]


def get_fields(path="/", authority="echo.shop:50051", extra=(), method="GET"):
    return [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path), *extra]


def grpc_message(message):
    return b"\0" + struct.pack(">I", len(message)) + message


def grpc_request(stream, path="/outrigger.test.Echo/Unary", message=b"raw"):
    return header_frames(stream, encode(grpc_fields(path))) + frame(DATA, END_STREAM, stream, grpc_message(message))


# ---- plain sockets, for tests that need no more ----

def read_exactly(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise EOFError(f"{len(data)} of {size} bytes, then the end")
        data += more
    return data


def read_frame(s):
    head = read_exactly(s, 9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return Frame(kind, flags, stream & 0x7FFFFFFF, read_exactly(s, int.from_bytes(head[:3], "big")))


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


# ---- streams ----

class Stream:
    """One stream as its connection sees it: orders send frames, the rest is what has come."""

    def __init__(self, connection, number):
        self.connection = connection
        self.id = number
        self.blocks = []        # header blocks, decoded
        self.data_sizes = []    # of DATA frames, without padding
        self.parts = []
        self.body_len = 0
        self.uncredited = 0
        self.body_sum = 0
        self.is_ended = False   # END_STREAM came
        self.reset_code = None  # RST_STREAM came
        self.has_reset = False  # RST_STREAM was sent
        self.send_window = connection.peer_settings.get(INITIAL_WINDOW_SIZE, 65535)

    # -- orders --

    def headers(self, fields, end=False, **options):
        """Options as header_frames: pad, piece (bytes in a frame), priority."""
        self.connection.send(header_frames(self.id, encode(fields), end, **options))
        return self

    def data(self, payload=b"", end=False, pad=None):
        """One DATA frame; flow control is the test's business (see body)."""
        flag, payload = padded(payload, pad)
        self.connection.spend(self, len(payload), wait=False)
        self.connection.send(frame(DATA, flag | (END_STREAM if end else 0), self.id, payload))
        return self

    def body(self, payload, end=True, size=16384):
        """As many DATA frames as it takes, each as soon as both windows allow it."""
        at, view, pieces = 0, memoryview(payload), []
        while at < len(payload):
            left = self.connection.spend(self, min(8 * size, len(payload) - at))  # some frames at once: large bodies should not take long
            while left:
                n = min(size, left)
                flag = END_STREAM if end and at + n == len(payload) else 0
                pieces += [struct.pack(">I", n)[1:], struct.pack(">BBI", DATA, flag, self.id), view[at:at + n]]
                at, left = at + n, left - n
            self.connection.send(*pieces)
            pieces.clear()
        if not payload and end:
            self.connection.send(frame(DATA, END_STREAM, self.id))
        return self

    def reset(self, code=CANCEL):
        self.connection.send(frame(RST_STREAM, 0, self.id, struct.pack(">I", code)))
        with self.connection.changed:
            self.has_reset = True
            self.connection.give_credit(self)
            self.connection.changed.notify_all()  # who waits for its window
        return self

    def credit(self, size):
        self.connection.send(frame(WINDOW_UPDATE, 0, self.id, struct.pack(">I", size)))
        return self

    # -- what has come --

    @property
    def body_bytes(self):
        """All body bytes so far; with keep=False there are only body_len and body_sum (crc32)."""
        return b"".join(self.parts)

    @property
    def fields(self):
        """Of the first block."""
        return self.blocks[0].fields

    @property
    def trailers(self):
        return self.blocks[-1].fields if len(self.blocks) > 1 else None

    def value(self, name, block=0):
        """The first value of that name, or None."""
        return next((v for n, v in self.blocks[block].fields if n == to_bytes(name)), None)

    @property
    def status(self):
        """Of the final response, as a number; None while only 1xx have come."""
        for block in self.blocks:
            status = dict(block.fields).get(b":status")
            if status and not status.startswith(b"1"):
                return int(status)
        return None

    def wait_headers(self, count=1):
        """Until that many blocks have come; returns the last of them."""
        self.connection.wait(lambda: len(self.blocks) >= count or self.is_over, f"header block {count} of stream {self.id}")
        assert len(self.blocks) >= count, f"stream {self.id} ended with {len(self.blocks)} header blocks, {self.how()}"
        return self.blocks[count - 1]

    def wait_data(self, size):
        """Until that many body bytes have come in all."""
        self.connection.wait(lambda: self.body_len >= size or self.is_over, f"{size} bytes on stream {self.id}, {self.body_len} came")
        assert self.body_len >= size, f"stream {self.id} ended after {self.body_len} bytes, {self.how()}"
        return self

    def wait_end(self):
        """Until END_STREAM came; RST_STREAM first is a failure."""
        self.connection.wait(lambda: self.is_ended or self.is_over, f"the end of stream {self.id}")
        assert self.is_ended, f"stream {self.id} {self.how()}"
        return self

    def wait_reset(self):
        """The code of RST_STREAM, which may come after END_STREAM too."""
        self.connection.wait(lambda: self.reset_code is not None or self.connection.closed, f"RST_STREAM of stream {self.id}")
        assert self.reset_code is not None, f"stream {self.id}: {self.how()}"
        return self.reset_code

    @property
    def is_over(self):
        return self.is_ended or self.reset_code is not None or self.connection.closed is not None

    @property
    def is_gone(self):
        return self.reset_code is not None or self.has_reset or self.connection.closed is not None

    def how(self):
        if self.reset_code is not None:
            return f"reset with {self.reset_code}"
        return f"connection {self.connection.closed}, GOAWAY {self.connection.goaway}" if self.connection.closed else "as it should"


# ---- connections ----

class Connection:
    """Either side of a connection; see the top of this file."""

    def __init__(self, sock, settings=None, ack=True, credit=True, keep=True, preface=None, first_id=1):
        self.socket = sock
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.has_ack, self.has_credit, self.keep = ack, credit, keep
        self.frames = []
        self.streams = {}
        self.new_streams = []    # opened by the peer, not yet taken by next_request
        self.peer_settings = {}
        self.settings_count = self.settings_acks = 0
        self.pings = []          # payloads of ACKs
        self.goaway = None
        self.closed = None
        self.error = None
        self.send_window = 65535
        self.next_id = first_id
        self.block_head = None   # (flags, stream) of a block that CONTINUATIONs go on with
        self.block = b""
        self.decoder = hpack.Decoder(max_header_list_size=1 << 26)
        self.changed = threading.Condition()
        self.writing = threading.RLock()  # held by `alone`, too
        self.outbox = queue.SimpleQueue()
        self.writer = None
        self.may_read = threading.Event()
        self.may_read.set()
        if settings and HEADER_TABLE_SIZE in settings:
            self.decoder.max_allowed_table_size = settings[HEADER_TABLE_SIZE]
        self.start = settings_frame(settings or {}) if preface is None else b""
        self.reader = threading.Thread(target=self.read_all, daemon=True)

    # -- sending --

    def send(self, *pieces):
        """Bytes as they are. A peer that has gone is no error here: `closed` tells, and waits end."""
        with self.writing, contextlib.suppress(BrokenPipeError, ConnectionResetError, OSError):
            self.socket.sendall(b"".join(pieces))
        return self

    def send_soon(self, data):
        """For the reader thread, which must never wait for the peer to read."""
        self.outbox.put(data)
        if self.writer is None:
            self.writer = threading.Thread(target=self.send_outbox, daemon=True)
            self.writer.start()

    def send_outbox(self):
        while data := self.outbox.get():
            self.send(data)

    def alone(self):
        """with connection.alone(): nothing is sent in between that the connection sends by itself, such as ACKs."""
        return self.writing

    def settings(self, values):
        return self.send(settings_frame(values))

    def ping(self, payload=b"12345678"):
        """Sends PING and waits for its ACK: whatever the peer had to say before has come."""
        self.send(frame(PING, 0, 0, payload))
        self.wait(lambda: payload in self.pings or self.closed, "the ACK of a PING")
        assert payload in self.pings, f"no ACK of a PING: {self.closed}, {self.goaway}"
        self.pings.remove(payload)

    def send_goaway(self, last, code=NO_ERROR, debug=b""):
        return self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug))

    def credit(self, size):
        """Of the connection."""
        return self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", size)))

    def spend(self, stream, size, least=1, wait=True):
        """Takes up to `size` bytes out of both windows, at least `least` if there is to be waited for it."""
        with self.changed:
            if wait:
                self.wait_locked(lambda: min(stream.send_window, self.send_window) >= least or stream.is_gone, f"window on stream {stream.id}")
                assert not stream.is_gone, f"stream {stream.id} {stream.how()} while sending"
                size = min(size, stream.send_window, self.send_window)
            stream.send_window -= size
            self.send_window -= size
            self.changed.notify_all()
        return size

    # -- waiting --

    def wait_locked(self, fact, what):
        end = time.monotonic() + LIMIT
        while not fact():
            if self.error:
                raise AssertionError(f"while waiting for {what}: {self.error!r}")
            left = end - time.monotonic()
            if left <= 0 or not self.changed.wait(left):
                if not fact():
                    raise AssertionError(f"not within {LIMIT} s: {what} (closed: {self.closed}, GOAWAY: {self.goaway})")

    def wait(self, fact, what):
        with self.changed:
            self.wait_locked(fact, what)
        return self

    def wait_closed(self):
        """How the peer ended the connection: "eof" or "reset"."""
        self.wait(lambda: self.closed, "the end of the connection")
        return self.closed

    def wait_goaway(self):
        self.wait(lambda: self.goaway or self.closed, "GOAWAY")
        assert self.goaway, f"the connection ended without GOAWAY: {self.closed}"
        return self.goaway

    def wait_settings(self):
        """The peer's values, its first SETTINGS having come."""
        self.wait(lambda: self.settings_count or self.closed, "SETTINGS")
        return self.peer_settings

    def hold(self):
        self.may_read.clear()

    def go_on(self):
        self.may_read.set()

    def close(self):
        self.stop_reading(socket.SHUT_RDWR)
        self.socket.close()

    def stop_reading(self, how):
        """The kernel ends a connection only when nobody waits in recv any more."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(how)
        self.may_read.set()
        if self.reader.is_alive():
            self.reader.join(LIMIT)

    def abort(self):
        """Closes with RST."""
        self.stop_reading(socket.SHUT_RD)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- receiving: the reader thread's --

    def read_all(self):
        ended = "eof"
        try:
            source = self.socket.makefile("rb", 1 << 18)
            self.read_preface(source)
            while self.read_one(source):
                self.may_read.wait()
        except ConnectionResetError:
            ended = "reset"
        except (OSError, ValueError):
            pass
        except Exception as error:  # what cannot be decoded is the test's failure, not the thread's
            self.error = error
        self.outbox.put(b"")
        with self.changed:
            self.closed = ended
            self.changed.notify_all()

    def read_preface(self, source):
        pass

    def read_one(self, source):
        head = source.read(9)
        if len(head) < 9:
            return False
        kind, flags, number = struct.unpack(">BBI", head[3:])
        size = int.from_bytes(head[:3], "big")
        payload = source.read(size)
        if len(payload) < size:
            return False
        with self.changed:
            self.take(Frame(kind, flags, number & 0x7FFFFFFF, payload))
            self.changed.notify_all()
        return True

    def take(self, f):
        if f.kind != DATA or self.keep:
            self.frames.append(f)
        handler = {DATA: self.take_data, HEADERS: self.take_headers, CONTINUATION: self.take_continuation, RST_STREAM: self.take_reset,
                   SETTINGS: self.take_settings, PING: self.take_ping, GOAWAY: self.take_goaway,
                   WINDOW_UPDATE: self.take_window}.get(f.kind)
        if handler:
            handler(f)

    def stream_of(self, number):
        if number not in self.streams:
            self.streams[number] = Stream(self, number)
            self.new_streams.append(self.streams[number])
        return self.streams[number]

    def take_data(self, f):
        stream = self.stream_of(f.stream)
        payload = f.payload[1:len(f.payload) - f.payload[0]] if f.flags & PADDED else f.payload
        stream.data_sizes.append(len(payload))
        stream.body_len += len(payload)
        stream.body_sum = zlib.crc32(payload, stream.body_sum)
        if self.keep:
            stream.parts.append(payload)
        stream.is_ended = stream.is_ended or bool(f.flags & END_STREAM)
        stream.uncredited += len(f.payload)
        self.give_credit(stream)

    def give_credit(self, stream):
        """For all that came, however its stream ends: the connection's window is all streams'."""
        is_over = stream.is_ended or stream.is_gone
        if self.has_credit and stream.uncredited and (self.keep or is_over or stream.uncredited >= 32768):
            update = struct.pack(">I", stream.uncredited)
            stream.uncredited = 0
            self.send_soon(frame(WINDOW_UPDATE, 0, 0, update) + (b"" if is_over else frame(WINDOW_UPDATE, 0, stream.id, update)))

    def take_headers(self, f):
        payload = f.payload
        if f.flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        self.block_head = f
        self.block = payload[5:] if f.flags & PRIORITY_FLAG else payload
        self.end_block(f.flags)

    def take_continuation(self, f):
        self.block += f.payload
        self.end_block(f.flags)

    def end_block(self, flags):
        if not flags & END_HEADERS:
            return
        fields = self.decoder.decode(self.block, raw=True)
        is_end = bool(self.block_head.flags & END_STREAM)
        stream = self.stream_of(self.block_head.stream)
        stream.blocks.append(Block([(bytes(n), bytes(v)) for n, v in fields], {bytes(f[0]) for f in fields if not f.indexable}, is_end))
        stream.is_ended = stream.is_ended or is_end
        self.give_credit(stream)

    def take_reset(self, f):
        stream = self.stream_of(f.stream)
        stream.reset_code = struct.unpack(">I", f.payload)[0]
        self.give_credit(stream)

    def take_settings(self, f):
        if f.flags & ACK:
            self.settings_acks += 1
            return
        for key, value in struct.iter_unpack(">HI", f.payload):
            if key == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.send_window += value - self.peer_settings.get(key, 65535)
            self.peer_settings[key] = value
        self.settings_count += 1
        if self.has_ack:
            self.send_soon(frame(SETTINGS, ACK))

    def take_ping(self, f):
        if f.flags & ACK:
            self.pings.append(f.payload)
        elif self.has_ack:
            self.send_soon(frame(PING, ACK, 0, f.payload))

    def take_goaway(self, f):
        self.goaway = (*struct.unpack(">II", f.payload[:8]), f.payload[8:])

    def take_window(self, f):
        size = struct.unpack(">I", f.payload)[0] & 0x7FFFFFFF
        if f.stream == 0:
            self.send_window += size
        elif f.stream in self.streams:
            self.streams[f.stream].send_window += size


class Client(Connection):
    """The side that asks. preface=b"...": these bytes are sent instead of preface and SETTINGS."""

    def __init__(self, sock, **options):
        super().__init__(sock, **options)
        preface = options.get("preface")
        self.send(PREFACE + self.start if preface is None else preface)
        self.reader.start()

    def open(self):
        """The next stream, with nothing sent on it yet."""
        with self.changed:
            stream = self.streams[self.next_id] = Stream(self, self.next_id)
            self.next_id += 2
        return stream

    def request(self, fields, end=False, **options):
        return self.open().headers(fields, end, **options)

    def unary(self, message=b"raw", **fields):
        """A whole gRPC request."""
        return self.request(grpc_fields(**fields)).data(grpc_message(message), end=True)


class ServerConnection(Connection):
    """The side that answers."""

    def __init__(self, sock, **options):
        super().__init__(sock, **options)
        self.preface = b""
        if self.start:
            self.send(self.start)
        self.reader.start()

    def read_preface(self, source):
        self.preface = source.read(len(PREFACE))

    def next_request(self):
        """The next stream that the peer has opened, its first block having come."""
        self.wait(lambda: self.new_streams or self.closed, "a request")
        assert self.new_streams, f"no request: connection {self.closed}, GOAWAY {self.goaway}"
        with self.changed:
            return self.new_streams.pop(0)


class Server:
    """Takes connections off a listening socket; options are those of every connection. serve=handler: each request (a Stream with its
    headers) is given to handler in a thread of its connection instead of waiting for accept()."""

    def __init__(self, listener, serve=None, **options):
        self.listener = listener
        self.listener.settimeout(LIMIT)
        self.address = listener.getsockname()[:2]
        self.options = options
        self.serve = serve
        self.connections = []
        self.errors = []
        if serve:
            self.listener.settimeout(None)
            threading.Thread(target=self.accept_all, daemon=True).start()

    def accept(self, **options):
        """The next connection, as a ServerConnection."""
        s, _ = self.listener.accept()
        self.connections.append(ServerConnection(s, **{**self.options, **options}))
        return self.connections[-1]

    def accept_all(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve_all, args=(self.accept(),), daemon=True).start()

    def serve_all(self, connection):
        try:
            while not connection.closed:
                with connection.changed:  # a client may be silent for as long as it likes
                    while not (connection.new_streams or connection.closed or connection.error or self.is_closed):
                        connection.changed.wait(LIMIT)
                if connection.error:
                    raise AssertionError(f"while serving: {connection.error!r}")
                while connection.new_streams:
                    self.serve(connection.next_request())
        except AssertionError as error:
            self.errors.append(error)

    is_closed = False

    def close(self):
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
