# SPDX-License-Identifier: Apache-2.0
"""A small Kubernetes API server for tests: HTTP/2 over TLS, lists in pages, watches with history, and every trouble on demand.

It holds Services and EndpointSlices that tests write as YAML. Runs in a thread of its own; all methods may be called from the test's.
"""
import asyncio
import json
import os
import ssl
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import yaml

CERTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit", "net", "certs")
KINDS = {"/api/v1/services": "Service", "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice"}


def file(name):
    return os.path.join(CERTS, name)


def status_object(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


class Connection(asyncio.Protocol):
    """One client. Responses that its windows do not take yet wait in `unsent`."""

    def __init__(self, server):
        self.server = server
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests = {}
        self.watches = {}  # stream: path
        self.unsent = {}  # stream: [bytes, is_end]

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc):
        self.server.connections.discard(self)

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            events = []
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                self.requests[event.stream_id] = (dict(event.headers), b"")
            elif isinstance(event, h2.events.DataReceived):
                headers, body = self.requests[event.stream_id]
                self.requests[event.stream_id] = (headers, body + event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.server.answer(self, event.stream_id, *self.requests.pop(event.stream_id))
            elif isinstance(event, h2.events.StreamReset):
                self.watches.pop(event.stream_id, None)
                self.unsent.pop(event.stream_id, None)
            elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
                for stream in list(self.unsent):
                    self.send(stream)
        self.flush()

    def respond(self, stream, status, body, is_end=True, headers=()):
        self.h2.send_headers(stream, [(":status", str(status)), ("content-type", "application/json"), *headers])
        self.write(stream, body, is_end)

    def write(self, stream, body, is_end=False):
        waiting = self.unsent.setdefault(stream, [b"", False])
        waiting[0] += body
        waiting[1] = waiting[1] or is_end
        self.send(stream)
        self.flush()

    def send(self, stream):
        body, is_end = self.unsent[stream]
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if room <= 0:
                break
            self.h2.send_data(stream, body[:room])
            body = body[room:]
        self.unsent[stream][0] = body
        if not body:
            if is_end:
                self.h2.end_stream(stream)
            del self.unsent[stream]

    def end_watch(self, stream):
        self.watches.pop(stream, None)
        self.write(stream, b"", is_end=True)


class KubeApi:
    """Objects, their history, and the server."""

    def __init__(self, page_limit=None):
        self.page_limit = page_limit  # pages are not longer than this, whatever the client asks for
        self.objects = {kind: {} for kind in KINDS.values()}  # (namespace, name): object
        self.files = {}  # name: keys, for `write` and `remove` as the folder of manifests has them
        self.history = []  # (version, kind, event)
        self.version = 1000
        self.oldest = 0  # watches from before this are Gone
        self.tokens = {"secret-1"}
        self.failures = []  # (path part, status, headers, body) for the next requests
        self.requests = []  # (method, path)
        self.connections = set()
        self.accepted = 0
        self.pages = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.listener = None
        self.port = 0

    # --- life ---

    def call(self, function, *args):
        """Runs in the server's thread."""
        done = asyncio.run_coroutine_threadsafe(self._call(function, *args), self.loop)
        return done.result(30)

    @staticmethod
    async def _call(function, *args):
        result = function(*args)
        return await result if asyncio.iscoroutine(result) else result

    def start(self, certificate="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file(f"{certificate}.pem"), file(f"{certificate}.key.pem"))
        context.set_alpn_protocols(["h2"])

        async def listen():
            self.listener = await self.loop.create_server(self.accept, "127.0.0.1", self.port, ssl=context)
            self.port = self.listener.sockets[0].getsockname()[1]
        self.call(listen)
        return self

    def accept(self):
        self.accepted += 1
        return Connection(self)

    def stop(self):
        """As a crash: connections break off."""
        def close():
            if self.listener is not None:
                self.listener.close()
                self.listener = None
            self.cut_now()
        self.call(close)

    def close(self):
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()

    def cut_now(self):
        for connection in list(self.connections):
            connection.transport.abort()

    def cut(self):
        self.call(self.cut_now)

    def goaway(self):
        def send():
            for connection in list(self.connections):
                connection.h2.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=2**31 - 1)
                # h2 takes a closed connection to send no more; ours goes on with what is open, as Go's server does.
                connection.h2.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN
                connection.flush()
        self.call(send)

    def kubeconfig(self, path, user="token: secret-1", ca="ca.pem", server_name=""):
        name = f", tls-server-name: {server_name}" if server_name else ""
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                    f"clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{self.port}', certificate-authority: {file(ca)}{name}}}}}]\n"
                    f"users: [{{name: me, user: {{{user}}}}}]\n"
                    f"contexts: [{{name: test, context: {{cluster: test, user: me}}}}]\n")
        return path

    # --- objects, as tests write them ---

    def write(self, name, text):
        """All objects of a file; those it had before and has no more are deleted."""
        objects = [o for o in yaml.safe_load_all(text) if o]
        self.call(self.replace, name, objects)

    def remove(self, name):
        self.call(self.replace, name, [])

    def replace(self, name, objects):
        keys = [(o["kind"], o["metadata"].get("namespace", "default"), o["metadata"]["name"]) for o in objects]
        for key, o in zip(keys, objects):
            self.put(key, o)
        for key in self.files.get(name, []):
            if key not in keys:
                self.delete(key)
        self.files[name] = keys

    def put(self, key, o):
        kind, namespace, name = key
        self.version += 1
        is_new = (namespace, name) not in self.objects[kind]
        o = json.loads(json.dumps(o))
        o["metadata"].update({"namespace": namespace, "resourceVersion": str(self.version), "managedFields": [{"manager": "test"}]})
        self.objects[kind][namespace, name] = o
        self.happened(kind, "ADDED" if is_new else "MODIFIED", o)

    def delete(self, key):
        kind, namespace, name = key
        self.version += 1
        o = self.objects[kind].pop((namespace, name))
        o["metadata"]["resourceVersion"] = str(self.version)
        self.happened(kind, "DELETED", o)

    def happened(self, kind, event, o):
        # Other kinds' items carry no apiVersion in lists, but do in events, as the real server has it.
        self.history.append((self.version, kind, {"type": event, "object": o}))
        self.tell(kind, {"type": event, "object": o})

    def tell(self, kind, event):
        for connection in list(self.connections):
            for stream, path in list(connection.watches.items()):
                if KINDS[path] == kind:
                    connection.write(stream, json.dumps(event).encode() + b"\n")

    # --- trouble ---

    def fail_next(self, part, status, headers=(), body=None, times=1):
        self.failures += [(part, status, tuple(headers), body or status_object(status, "", "on demand"))] * times

    def compact(self):
        """What happened so far cannot be watched from any more."""
        self.version += 1
        self.oldest = self.version
        self.history = []

    def bookmark(self):
        """Everybody learns the newest version."""
        def tell():
            for path, kind in KINDS.items():
                self.tell(kind, {"type": "BOOKMARK", "object": {"kind": kind, "metadata": {"resourceVersion": str(self.version)}}})
        self.call(tell)

    def raw_event(self, kind, line):
        def tell():
            for connection in list(self.connections):
                for stream, path in list(connection.watches.items()):
                    if KINDS[path] == kind:
                        connection.write(stream, line)
        self.call(tell)

    def end_watches(self):
        def end():
            for connection in list(self.connections):
                for stream in list(connection.watches):
                    connection.end_watch(stream)
        self.call(end)

    def watch_count(self):
        return self.call(lambda: sum(len(c.watches) for c in self.connections))

    # --- answers ---

    def answer(self, connection, stream, headers, _body):
        method, path = headers[":method"], headers[":path"]
        self.requests.append((method, path))
        parts = urllib.parse.urlsplit(path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(parts.query).items()}
        for failure in self.failures:
            if failure[0] in path:
                self.failures.remove(failure)
                connection.respond(stream, failure[1], json.dumps(failure[3]).encode(), headers=failure[2])
                return
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            connection.respond(stream, 401, json.dumps(status_object(401, "Unauthorized", "Unauthorized")).encode())
        elif parts.path not in KINDS:
            connection.respond(stream, 404, json.dumps(status_object(404, "NotFound", "no such path")).encode())
        elif "watch" in query:
            self.watch(connection, stream, parts.path, query)
        else:
            self.list(connection, stream, parts.path, query)

    def list(self, connection, stream, path, query):
        kind = KINDS[path]
        if "continue" in query:
            if query["continue"] not in self.pages:
                connection.respond(stream, 410, json.dumps(status_object(410, "Expired", "the continue token has expired")).encode())
                return
            version, items = self.pages.pop(query["continue"])
        else:
            version, items = self.version, [o for _, o in sorted(self.objects[kind].items())]
        size = int(query.get("limit", 0)) or len(items)
        if self.page_limit:
            size = min(size, self.page_limit)
        metadata = {"resourceVersion": str(version)}
        if len(items) > size:
            metadata["continue"] = f"page/{len(self.requests)}+="  # must be escaped in the next request
            self.pages[metadata["continue"]] = (version, items[size:])
        body = {"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata,
                "items": [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in items[:size]]}
        connection.respond(stream, 200, json.dumps(body).encode())

    def watch(self, connection, stream, path, query):
        since = int(query["resourceVersion"])
        if since < self.oldest:
            # The real server answers 200 and an ERROR event, or 410: here by turns.
            gone = status_object(410, "Expired", "too old resource version")
            if len(self.requests) % 2:
                connection.respond(stream, 410, json.dumps(gone).encode())
            else:
                connection.respond(stream, 200, json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return
        connection.respond(stream, 200, b"", is_end=False)
        connection.watches[stream] = path
        for version, kind, event in self.history:
            if version > since and kind == KINDS[path]:
                connection.write(stream, json.dumps(event).encode() + b"\n")
