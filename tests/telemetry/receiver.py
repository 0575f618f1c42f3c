"""Whoever is told something, on loopback: takes OTLP, Sentry's envelopes and PostHog's batches as they come."""

import gzip
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Receiver:
    """What has come, as (path, body without compression), and how to read it."""

    url: str
    bodies: list[tuple[str, bytes]] = field(default_factory=list)

    def raw(self) -> str:
        """Everything that came, as text, to look for what must not be there."""
        return "\n".join(body.decode("utf-8", "replace") for _, body in list(self.bodies))

    def spans(self) -> list[dict[str, Any]]:
        """All spans of all exports."""
        found = []
        for path, body in list(self.bodies):
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = _attributes(resource.resource.attributes)["service.name"]
                    for scope in resource.scope_spans:
                        found += [_span(service, span) for span in scope.spans]
        return found

    def reports(self) -> list[dict[str, Any]]:
        """Events in Sentry's envelopes: a header, then pairs of item header and item, a line each."""
        found = []
        for path, body in list(self.bodies):
            if path.endswith("/envelope/"):
                lines = [json.loads(line) for line in body.splitlines() if line.strip()]
                found += [item for kind, item in zip(lines[1::2], lines[2::2], strict=True) if kind["type"] == "event"]
        return found

    def events(self) -> list[dict[str, Any]]:
        """Product events in PostHog's batches."""
        return [
            event for path, body in list(self.bodies) if "batch" in path for event in json.loads(body).get("batch", ())
        ]


def _span(service: str, span: Any) -> dict[str, Any]:
    return {
        "service": service, "name": span.name, "trace": span.trace_id.hex(), "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(), "attributes": _attributes(span.attributes), "status": span.status.code,
    }  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            coding = self.headers.get("Content-Encoding")
            if coding == "gzip":
                body = gzip.decompress(body)
            elif coding == "deflate":
                body = zlib.decompress(body)
            found.bodies.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
