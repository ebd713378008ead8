"""The component of ctk.tests.support.tickets as it runs, in memory; it can be told to lie about one thing."""

from __future__ import annotations

import json
import queue
import threading
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from ctk.tests.support.serving import Answer, Serving
from ctk.tests.support.tickets import DOCS, MCP, METRICS, NAME, PARTY_ROLES, PERMISSIONS, ROLE, V4, V5

EXPOSITION = b"""# HELP tickets_created_total Tickets
# TYPE tickets_created_total counter
tickets_created_total{severity="minor \\"x\\"",channel="a,b"} 7 1700000000000
# TYPE latency_seconds histogram
latency_seconds_bucket{le="+Inf"} 3
latency_seconds_sum 1.5e-3
latency_seconds_count 3
"""
ROLES = {PARTY_ROLES: "partyRole", PERMISSIONS: "permissionSpecificationSet"}
TOOL = {
    "name": "list_tickets",
    "description": "Lists trouble tickets",
    "inputSchema": {"type": "object", "properties": {"status": {"type": "string", "description": "acknowledged"}}},
}


class Ticketing(Serving):
    """`hubs`: callbacks by address of the subscription; `roles`: documents by address."""

    def __init__(self, lies: set[str] | None = None) -> None:
        self.lies = lies or set()
        self.hubs: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, dict[str, Any]] = {f"{b}/{n}/0": {"id": "0", "name": ROLE} for b, n in ROLES.items()}
        self.seen: list[str] = []
        self.lock = threading.RLock()
        self.mail: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue()
        self.carrier = threading.Thread(target=self.deliver, daemon=True)
        self.carrier.start()
        super().__init__()

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        self.mail.put(None)
        self.carrier.join(5)

    def deliver(self) -> None:
        while (letter := self.mail.get()) is not None:
            headers = {"content-type": "application/json"}
            request = urllib.request.Request(letter[0], json.dumps(letter[1]).encode(), headers, method="POST")
            with urllib.request.urlopen(request, timeout=5):
                pass

    def lie(self, name: str) -> bool:
        return name in self.lies

    def answered(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        with self.lock:
            place = urlsplit(path).path
            self.seen.append(f"{method} {place}")
            body = json.loads(content) if content else {}
            if method == "GET" and place in (V4, V5, PARTY_ROLES, PERMISSIONS):
                return (404, {}, {"reason": "gone"}) if self.lie("no entry point") and place == V5 else (200, {}, {})
            if place in (DOCS, f"{DOCS}/"):
                return self.documentation(place)
            if place == METRICS:
                return self.metrics()
            if place.startswith("/health/"):
                return (503 if self.lie("unhealthy") and place.endswith("live") else 200), {}, b"ok"
            if place == MCP:
                return self.agents(method, headers, body)
            for base, name in ROLES.items():
                if place.startswith(f"{base}/hub"):
                    return self.hub(method, place, f"{base}/hub", body, name)
                if place.startswith(f"{base}/{name}"):
                    return self.role(method, place, base, name, headers, body)
            if place.startswith(f"{V4}/hub"):
                return self.hub(method, place, f"{V4}/hub", body, "troubleTicket")
            return 404, {}, {"reason": "nothing here"}

    def documentation(self, place: str) -> Answer:
        if self.lie("no documentation"):
            return 404, {}, None
        if place == DOCS:
            return 307, {"location": f"{DOCS}/"}, None
        return 200, {"content-type": "text/html"}, b"<h1>Tickets</h1>"

    def metrics(self) -> Answer:
        media = "application/json" if self.lie("metrics of another media type") else "text/plain; version=0.0.4"
        text = EXPOSITION
        if self.lie("metrics that are no samples"):
            text += b"tickets open: 4\n"
        if self.lie("no metrics"):
            return 404, {}, None
        if self.lie("metrics without a sample"):
            text = b"# nothing yet\n"
        if self.lie("open metrics without an end"):
            media = "application/openmetrics-text; version=1.0.0"
        if self.lie("metrics without types"):
            text = b"tickets_created_total 7\n"
        return 200, {"content-type": media}, text

    def agents(self, method: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if method == "DELETE" or "id" not in body:
            return 202, {}, None
        if body["method"] == "initialize":
            result: dict[str, Any] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
            if not self.lie("an agent without a name"):
                result["serverInfo"] = {"name": "tickets", "version": "1"}
            return 200, {"mcp-session-id": "s1"}, {"jsonrpc": "2.0", "id": body["id"], "result": result}
        if headers.get("mcp-session-id") != "s1" or "event-stream" not in headers.get("accept", ""):
            return 400, {}, None
        tool: dict[str, Any] = {**TOOL}
        if self.lie("a tool that is not described"):
            tool["inputSchema"] = {"properties": {"status": {"type": "string"}}}
        if self.lie("a tool without a schema"):
            tool.pop("inputSchema")
        tools = [] if self.lie("no tools") else [tool]
        message = json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": {"tools": tools}})
        return 200, {"content-type": "text/event-stream"}, f"event: message\ndata: {message}\n\n".encode()

    def hub(self, method: str, place: str, base: str, body: dict[str, Any], name: str) -> Answer:
        security = name != "troubleTicket"
        if method == "DELETE":
            if self.lie("a hub that keeps") and not security:
                return 405, {}, None
            return (204 if self.hubs.pop(place, None) else 404), {}, None
        if self.lie("a hub with a query only") and security and "query" not in body:
            return 400, {}, {"reason": "query is missing"}
        same = next((a for a, h in self.hubs.items() if a.startswith(base) and h["callback"] == body["callback"]), "")
        if same and self.lie("409 for the second registration") and security:
            return 409, {}, {"reason": "exists"}
        address = same if same and not self.lie("told as often as registered") else f"{base}/{len(self.hubs)}"
        self.hubs[address] = body
        status = 200 if self.lie("200 for a subscription") and not security else 201
        id = address.rpartition("/")[2]
        if self.lie("a subscription without a name") and not security:
            return status, {}, {}
        return status, {"location": address}, {"id": id, **body}

    def role(
        self, method: str, place: str, base: str, name: str, headers: dict[str, str], body: dict[str, Any]
    ) -> Answer:
        if method == "POST":
            if self.lie("roles cannot be made"):
                return 501, {}, {"reason": "not here"}
            id = str(len(self.seen))
            address = f"{base}/{name}/{id}"
            self.roles[address] = {**body, "id": id}
            self.tell(base, name, address, body, "CreationNotification")
            return 201, {"location": address}, {**body, "id": id, "href": address}
        if method == "DELETE":
            if self.lie("roles cannot be removed"):
                return 409, {}, {"reason": "in use"}
            gone = self.roles.pop(place)
            self.tell(base, name, place, gone, "RemoveNotification")
            return 204, {}, None
        if self.lie("roles are no list"):
            return 200, {}, {"items": []}
        host = "inside.svc" if self.lie("links past the gateway") else headers.get("x-forwarded-host", "")
        origin = f"https://{host}" if host else ""
        rows = [{**r, "href": origin + a} for a, r in self.roles.items() if a.startswith(f"{base}/{name}/")]
        if self.lie("links to another path"):
            rows = [{**r, "href": r["href"].replace(NAME, "elsewhere")} for r in rows]
        if self.lie("no role of the Canvas"):
            rows = [{**r, "name": "Somebody"} for r in rows]
        return 200, {}, rows

    def tell(self, base: str, name: str, address: str, role: dict[str, Any], ending: str) -> None:
        type = name[0].upper() + name[1:]
        if self.lie("Create and Delete events"):
            ending = {"CreationNotification": "CreateEvent", "RemoveNotification": "DeleteEvent"}[ending]
        if self.lie("no event of a removal") and ending == "RemoveNotification":
            return
        origin = f"http://{NAME}-api:8080" if name == "partyRole" else ""
        if self.lie("href of the other form"):
            origin = "" if origin else "http://host"
        shown = {**role, "id": address.rpartition("/")[2], "href": origin + address, "@baseType": type}
        if self.lie("no base type"):
            shown.pop("@baseType")
        event = {"eventId": str(len(self.seen)), "eventType": f"{type}{ending}", "event": {name: shown}}
        for subscription, hub in self.hubs.items():
            if subscription.startswith(f"{base}/hub"):
                self.mail.put((hub["callback"], event))
