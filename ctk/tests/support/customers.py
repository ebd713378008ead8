"""A small TMF629 v4 server in memory, written from the standard alone, that can be told to lie about one thing.

`Customers(lies={"total"})` answers as the standard has it, but for the total. No code of the kit is used.
"""

from __future__ import annotations

import copy
import json
import queue
import re
import threading
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

BASE = "/tmf-api/customerManagement/v4"
Document = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]
TEXT = ("name", "status", "statusReason")
ARRAYS = ("account", "agreement", "characteristic", "contactMedium", "creditProfile", "paymentMethod", "relatedParty")
OBJECTS = ("engagedParty", "validFor")
MANDATORY = {
    "": ("name", "engagedParty"),
    "engagedParty": ("id", "@referredType"),
    "relatedParty": ("id", "@referredType"),
    "account": ("name",),
    "agreement": ("id",),
    "characteristic": ("name", "value"),
    "contactMedium": ("mediumType", "characteristic"),
    "creditProfile": ("creditProfileDate", "validFor"),
    "paymentMethod": ("id",),
}
KNOWN = {*TEXT, *ARRAYS, *OBJECTS, "id", "href", "@type", "@baseType", "@schemaLocation", "ctkExtension"}
SUFFIXES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "==", "regex": "~"}


class Refused(Exception):
    """A request that is not granted."""

    def __init__(self, status: int, reason: str, allow: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.allow = status, reason, allow


def leaves(document: Any, path: str) -> list[Any]:
    nodes = [document]
    for name in path.split("."):
        nodes = [n[name] for n in nodes if isinstance(n, dict) and name in n]
        nodes = [m for n in nodes for m in (n if isinstance(n, list) else [n])]
    return nodes


class Customers:
    """The server; `url` is the base of its API."""

    def __init__(self, lies: set[str] | None = None) -> None:
        self.lies = lies or set()
        self.store: dict[str, Document] = {}
        self.revision: dict[str, int] = {}
        self.hubs: dict[str, Document] = {}
        self.lock = threading.RLock()
        self.requests: list[str] = []
        self.mail: queue.Queue[tuple[str, Document] | None] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20
            wbufsize = -1
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(length)
                outer.requests.append(f"{self.command} {self.path}")
                answer = outer.answered(self.command, self.path, dict(self.headers.items()), content)
                if outer.fallen:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_one

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.fallen = False
        self.kinds = Server, Handler
        self.server = Server(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = self.origin + BASE
        self.threads = [
            threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self.deliver, daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def fall(self) -> None:
        """End as a process does that crashes: nobody listens any more."""
        self.fallen = True
        self.server.shutdown()
        self.server.server_close()

    def rise(self) -> None:
        """Be there again at the same address, with everything that was stored."""
        server, handler = self.kinds
        self.server = server(("127.0.0.1", int(self.server.server_address[1])), handler)
        self.threads.append(threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True))
        self.threads[-1].start()
        self.fallen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        if not self.fallen:
            self.fall()
        self.mail.put(None)
        for thread in self.threads:
            thread.join(5)

    def lie(self, name: str) -> bool:
        return name in self.lies

    # --- answers ------------------------------------------------------------------------------------------

    def answered(
        self, method: str, target: str, sent: dict[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {k.lower(): v for k, v in sent.items()}
        try:
            status, more, body = self.routed(method, target, headers, content)
        except Refused as refusal:
            status = refusal.status
            more = {"allow": refusal.allow} if refusal.allow else {}
            body = {"code": str(status), "reason": refusal.reason, "status": str(status)}
            if self.lie("error without reason"):
                del body["reason"]
            if self.lie("error with a number as code"):
                body["code"] = status
        media = "text/plain" if self.lie("media") and status < 300 else "application/json"
        encoded = b"" if body is None else json.dumps(body).encode()
        return status, {"content-type": media, **more}, encoded

    def routed(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        parts = urlsplit(target)
        if not parts.path.startswith(BASE):
            raise Refused(404, "nothing stands here")
        path = parts.path.removeprefix(BASE)
        if path == "/hub" or path.startswith("/hub/"):
            return self.hub(method, path[5:], headers, content)
        if path == "/customer":
            if method == "GET":
                return self.found(parts.query)
            if method == "POST":
                return self.created(self.body(headers, content))
            raise Refused(405, "not defined", "GET, POST")
        if path.startswith("/customer/"):
            return self.member(method, unquote(path[10:]), parts.query, headers, content)
        raise Refused(404, "no such resource")

    def body(self, headers: dict[str, str], content: bytes, allowed: tuple[str, ...] = ("application/json",)) -> Any:
        if headers.get("content-type", "").split(";")[0] not in allowed and not self.lie("any media"):
            raise Refused(415, "not this media type")
        if len(content) > 4_000_000:
            raise Refused(500 if self.lie("large body fails") else 413, "too large")

        def never(word: str) -> Any:
            raise ValueError(word)

        try:
            return json.loads(content.decode(), parse_constant=never)
        except (ValueError, RecursionError):
            raise Refused(500 if self.lie("malformed fails") else 400, "no JSON") from None

    def shown(self, doc: Document) -> Document:
        shown = copy.deepcopy(doc)
        shown["href"] = f"{self.url}/customer/{quote(doc['id'], safe='')}"
        if self.lie("type of an attribute"):
            shown["name"] = [shown["name"]]
        if self.lie("null is shown"):
            shown.setdefault("@baseType", None)
        if self.lie("no zone"):
            shown["validFor"] = {k: v.rstrip("Z") for k, v in shown.get("validFor", {}).items()}
        return shown

    # --- one customer -------------------------------------------------------------------------------------

    def checked(self, doc: Any) -> Document:
        if not isinstance(doc, dict):
            raise Refused(400, "no object")
        for owner, names in MANDATORY.items():
            objects = [doc] if not owner else doc.get(owner, [])
            for item in objects if isinstance(objects, list) else [objects]:
                for name in names:
                    known = "mandatory" if not owner else "nested mandatory"
                    if not isinstance(item, dict) or (item.get(name) is None and not self.lie(known)):
                        raise Refused(400, f"{owner}.{name} is mandatory".lstrip("."))
        if self.lie("types"):
            return doc
        for name, value in doc.items():
            wanted = str if name in TEXT else list if name in ARRAYS else dict if name in OBJECTS else object
            if not isinstance(value, wanted):
                raise Refused(400, f"{name} has a wrong type")
            if isinstance(value, str) and re.search("[\x00\ud800-\udfff]", value):
                raise Refused(400, f"{name} has a character that cannot be stored")
        return doc

    def created(self, sent: Any) -> Answer:
        doc = dict(self.checked(sent))
        doc.pop("href", None)
        if doc.get("id") in self.store and not self.lie("an id is taken twice"):
            raise Refused(409, "there is a customer with this id")
        if "id" not in doc or self.lie("the client's id is replaced"):
            doc["id"] = uuid.uuid4().hex
        if self.lie("same id"):
            doc["id"] = "one"
        doc.setdefault("@type", "Customer")
        if self.lie("posted attributes are lost"):
            doc.pop("characteristic", None)
        if self.lie("extension is lost"):
            doc.pop("ctkExtension", None)
        if self.lie("event before commit"):
            self.tell("Create", doc)
            time.sleep(0.15)
        with self.lock:
            self.store[doc["id"]] = doc
            self.revision[doc["id"]] = 1
        if not self.lie("event before commit"):
            self.tell("Create", doc)
        shown = self.shown(doc)
        headers = {"location": shown["href"] if not self.lie("location") else f"{self.url}/customer/elsewhere"}
        if self.lie("no location"):
            headers = {}
        return 200 if self.lie("200 for 201") else 201, headers, shown

    def member(self, method: str, id: str, question: str, headers: dict[str, str], content: bytes) -> Answer:
        if method not in ("GET", "PATCH", "DELETE"):
            raise Refused(404 if self.lie("404 for 405") else 405, "not defined", "GET, PATCH, DELETE")
        with self.lock:
            doc = self.store.get(id)
        if doc is None:
            if self.lie("200 for an unknown id") and method == "GET":
                return 200, {}, {}
            raise Refused(404, "no such customer")
        if method == "GET":
            etag = {"etag": f'"{self.revision[id]}"'}
            return 200, etag, self.selected(self.shown(doc), dict(parse_qsl(question)).get("fields"))
        if method == "DELETE":
            with self.lock:
                if not self.lie("delete keeps"):
                    self.store.pop(id, None)
            self.tell("Delete", doc)
            return (200 if self.lie("200 for 204") else 204), {}, ({} if self.lie("200 for 204") else None)
        merge = ("application/json", "application/merge-patch+json")[: 1 if self.lie("merge-patch is refused") else 2]
        return self.patched(id, headers, self.body(headers, content, merge))

    def patched(self, id: str, headers: dict[str, str], change: Any) -> Answer:
        if not isinstance(change, dict):
            raise Refused(400, "no object")
        for name in ("id", "href", "@type", "@baseType", "@schemaLocation"):
            if name in change:
                if self.lie("read-only is ignored"):
                    change = {k: v for k, v in change.items() if k != name}
                elif not self.lie("read-only is written"):
                    raise Refused(400, f"{name} cannot be changed")
        with self.lock:
            before = copy.deepcopy(self.store[id])
        wanted = headers.get("if-match")
        if wanted and wanted != f'"{self.revision[id]}"' and not self.lie("if-match"):
            raise Refused(412, "another version")
        if self.lie("lost update"):
            time.sleep(0.02)
            after = self.checked(self.merged(before, change))
            with self.lock:
                self.store[id] = after
        else:
            with self.lock:
                before = copy.deepcopy(self.store[id])
                after = self.checked(self.merged(before, change))
                self.store[id] = after
        with self.lock:
            self.revision[id] += 1
        if after != before or self.lie("event without a change"):
            changed = {k for k in after if after.get(k) != before.get(k)}
            if "status" in changed:
                self.tell("StateChange", after)
            if changed - {"status"} or not changed:
                self.tell("AttributeValueChange", before if self.lie("event with the old value") else after)
        return 200, {}, self.shown(before if self.lie("answer before the change") else after)

    def merged(self, doc: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        result = dict(doc) if isinstance(doc, dict) else {}
        for name, value in change.items():
            if value is None:
                if not self.lie("null is kept"):
                    result.pop(name, None)
            elif isinstance(value, list) and self.lie("arrays are appended"):
                result[name] = [*result.get(name, []), *value]
            elif isinstance(value, dict) and self.lie("objects are replaced"):
                result[name] = value
            else:
                result[name] = self.merged(result.get(name), value)
        return result

    # --- lists --------------------------------------------------------------------------------------------

    def selected(self, doc: Document, fields: str | None) -> Document:
        if fields is None or self.lie("fields are ignored"):
            return doc
        kept = () if self.lie("fields drop id") else ("id", "href")
        return {k: v for k, v in doc.items() if k in kept or k in fields.split(",")}

    def found(self, question: str) -> Answer:
        try:
            limit, offset, rest = self.paging(question)
        except ValueError:
            raise Refused(400, "limit and offset are numbers that are not negative") from None
        rows = [self.shown(d) for d in self.store.values()]
        everything = len(rows)
        order, fields = "", None
        for alternative in rest:
            name, operator, values = alternative
            if name == "sort":
                order = values[0]
            elif name == "fields":
                fields = values[0]
            elif name == "filter":
                raise Refused(501, "JSONPath is not offered")
            else:
                rows = [r for r in rows if self.holds(r, name, operator, values)]
        for part in reversed(order.split(",") if order.strip(",") else []):
            name = part.lstrip("-+ ")
            reverse = part.startswith("-") and not self.lie("sort ignores the sign")
            rows.sort(key=lambda r, name=name: str(r.get(name, "")), reverse=reverse)  # type: ignore[misc]
        total = len(rows)
        start = max(0, offset - 1) if self.lie("pages overlap") and offset else offset
        page = rows[start : start + limit]
        headers = {
            "x-total-count": str(everything if self.lie("total") else total),
            "x-result-count": str(total if self.lie("result count") else len(page)),
        }
        if offset + limit < total:
            kept = [(k, v) for k, v in parse_qsl(question) if k not in ("offset", "limit")]
            more = "&".join(f"{quote(k, safe='@.')}={quote(v)}" for k, v in kept) if not self.lie("link") else ""
            headers["link"] = f'<{self.url}/customer?offset={offset + limit}&limit={limit}&{more}>; rel="next"'
        partial = len(page) < total and not self.lie("always 200")
        if self.lie("404 for an empty list") and not page:
            raise Refused(404, "nothing found")
        return 206 if partial or self.lie("always 206") else 200, headers, [self.selected(r, fields) for r in page]

    def paging(self, question: str) -> tuple[int, int, list[tuple[str, str, list[str]]]]:
        limit, offset = 100, 0
        rest: dict[tuple[str, str], list[str]] = {}
        for part in filter(None, re.split("[&;]", question)):
            literal = re.match(r"(?i)([\w@.]+)(%3E%3D|%3C%3D|%3E|%3C)(.*)", part)
            if literal and "=" not in literal[1]:
                name, value = unquote(literal[1]), unquote(literal[3])
                operator = unquote(literal[2])
            else:
                name, _, raw = part.partition("=")
                name, value, operator = unquote(name), unquote(raw.replace("+", " ")), "=="
                stem, _, suffix = name.rpartition(".")
                if stem and suffix in SUFFIXES:
                    name, operator = stem, SUFFIXES[suffix]
            if name in ("limit", "offset"):
                number = min(int(value), 1000 if name == "limit" else 10**9)
                if number < 0 and not self.lie("negative is accepted"):
                    raise ValueError(value)
                limit, offset = (number, offset) if name == "limit" else (limit, number)
                continue
            split = operator == "==" and name not in ("fields", "sort", "filter") and not self.lie("no or by comma")
            values = re.split(r"(?<!\\),", value) if split else [value]
            rest.setdefault((name, operator), []).extend(v.replace("\\,", ",") for v in values)
        return limit, offset, [(n, o, v) for (n, o), v in rest.items()]

    def holds(self, row: Document, name: str, operator: str, values: list[str]) -> bool:
        if name.split(".")[0] not in KNOWN:
            if self.lie("unknown filter is ignored"):
                return True
            raise Refused(400, f"{name} is not known")
        if self.lie("filter is ignored") or (self.lie("dotted is ignored") and "." in name):
            return True
        if self.lie("or takes the first") and len(values) > 1:
            values = values[:1]
        for leaf in leaves(row, name):
            text = json.dumps(leaf) if isinstance(leaf, bool | int | float) else str(leaf)
            for value in values:
                if operator == "~":
                    try:
                        hit = re.search(value[:100], text) is not None
                    except re.error:
                        raise Refused(400, "no pattern") from None
                else:
                    hit = {
                        "==": text == value,
                        ">": text > value or (self.lie("gt is gte") and text == value),
                        ">=": text >= value,
                        "<": text < value,
                        "<=": text <= value,
                    }[operator]
                if hit:
                    return True
        return False

    # --- hub ----------------------------------------------------------------------------------------------

    def hub(self, method: str, id: str, headers: dict[str, str], content: bytes) -> Answer:
        if method == "POST" and not id:
            sent = self.body(headers, content)
            callback = sent.get("callback") if isinstance(sent, dict) else None
            if not isinstance(callback, str) or not callback.startswith("http"):
                raise Refused(400, "callback is mandatory")
            hub = {"id": uuid.uuid4().hex, "callback": callback}
            hub |= {"query": sent["query"]} if "query" in sent else {}
            with self.lock:
                self.hubs[hub["id"]] = hub
            return 201, {"location": f"{self.url}/hub/{hub['id']}"}, hub
        if method == "DELETE" and id:
            with self.lock:
                known = id in self.hubs if self.lie("hub is not deleted") else self.hubs.pop(id, None)
            if not known:
                raise Refused(404, "no such registration")
            return 204, {}, None
        raise Refused(405, "not defined", "POST, DELETE")

    def tell(self, kind: str, doc: Document) -> None:
        if self.lie(f"no {kind} event"):
            return
        event: Document = {
            "eventId": uuid.uuid4().hex,
            "eventTime": datetime.now(UTC).isoformat(),
            "eventType": f"Customer{kind}Event" if not self.lie("event type") else f"Customer{kind}Notification",
            "timeOcurred" if not self.lie("event time") else "timeOccurred": datetime.now(UTC).isoformat(),
            "event": {"customer": self.shown(doc)},
        }
        if self.lie("event without id"):
            del event["eventId"]
        if self.lie("event without resource name"):
            event["event"] = {"resource": event["event"]["customer"]}
        with self.lock:
            hubs = list(self.hubs.values())
        for hub in hubs:
            wanted = dict(parse_qsl(hub.get("query", ""))).get("eventType")
            if wanted and event["eventType"] not in wanted.split(",") and not self.lie("hub query is ignored"):
                continue
            if self.lie("events out of order") and kind == "AttributeValueChange":
                timer = threading.Timer(0.2, self.mail.put, ((hub["callback"], event),))
                timer.daemon = True
                timer.start()
                continue
            self.mail.put((hub["callback"], event))
            if self.lie("event twice"):
                self.mail.put((hub["callback"], {**event, "eventId": uuid.uuid4().hex}))

    def deliver(self) -> None:
        while (item := self.mail.get()) is not None:
            callback, event = item
            for attempt in range(3):
                if attempt and self.lie("redelivery with a new id"):
                    event = {**event, "eventId": uuid.uuid4().hex}
                request = urllib.request.Request(
                    callback, json.dumps(event).encode(), {"content-type": "application/json"}, method="POST"
                )
                try:
                    with urllib.request.urlopen(request, timeout=5):
                        break
                except OSError:
                    time.sleep(0.05)
