"""APIs of the type mcp: the Model Context Protocol over streamable HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from oda_ctk.check import MUST, SHOULD, Blocked
from oda_ctk.component.case import At, check
from oda_ctk.component.manifest import mapping, numbered, text
from oda_ctk.component.piece import Found
from oda_ctk.exchange import Exchange

PROTOCOL = "2025-06-18"
MCP = f"Model Context Protocol {PROTOCOL}"
ACCEPT = {"accept": "application/json, text/event-stream"}


def _asked(at: At) -> list[tuple[Exchange, dict[str, Any]]]:
    """The answers to initialize and tools/list with the messages in them; asked once."""
    key = f"mcp {at.api.label}"
    if key not in at.case.memory:
        at.case.memory[key] = _talk(at)
    talk: list[tuple[Exchange, dict[str, Any]]] = at.case.memory[key]
    return talk


def _talk(at: At) -> list[tuple[Exchange, dict[str, Any]]]:
    address = at.running.address(at.api)
    client = {"name": "oda-ctk", "version": "1"}
    params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
    first = at.running.target.post(address, _request(1, "initialize", params), headers=ACCEPT)
    talk = [(first, message(first, 1))]
    if not first.ok:
        return talk
    session = first.headers.get("mcp-session-id", "")
    agreed = text(mapping(talk[0][1].get("result")).get("protocolVersion")) or PROTOCOL
    headers = {**ACCEPT, "mcp-protocol-version": agreed} | ({"mcp-session-id": session} if session else {})
    at.running.target.post(address, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    second = at.running.target.post(address, _request(2, "tools/list", {}), headers=headers)
    talk.append((second, message(second, 2)))
    if session:
        at.running.target.request("DELETE", address, headers=headers)
    return talk


def _request(id: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def message(answer: Exchange, id: int) -> dict[str, Any]:
    """The JSON-RPC message with that id, out of a JSON body or a stream of events."""
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        return answer.document
    for event in answer.text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].lstrip() for line in event.split("\n") if line.startswith("data:"))
        try:
            found = json.loads(data)
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("id") == id:
            return found
    return {}


@check("component.run.mcp", MUST, f"{MCP}: lifecycle; ODA decision 0016", of="mcp")
def initialize(at: At) -> Iterator[Found]:
    """An MCP server answers initialize with its protocol version and capabilities."""
    answer, told = _asked(at)[0]
    result = mapping(told.get("result"))
    lacking = [n for n in ("protocolVersion", "capabilities", "serverInfo") if n not in result]
    if not answer.ok or lacking:
        yield Found(f"{answer.told()}" + (f" without {', '.join(lacking)}" if lacking else ""), (answer,))


@check("component.run.mcp.tools", MUST, f"{MCP}: tools; ODA decision 0016", of="mcp")
def tools(at: At) -> Iterator[Found]:
    """An MCP server lists tools, each with a name and a schema of its input."""
    answer, found = _tools(at)
    if not found:
        yield Found(f"{answer.told()} without a tool", (answer,))
    for number, tool in enumerate(found):
        if not text(tool.get("name")) or not isinstance(tool.get("inputSchema"), dict):
            yield Found(f"tool {number} has no name or no inputSchema", (answer,))


@check(
    "component.run.mcp.described",
    SHOULD,
    "ODA decision 0016: described for agents",
    of="mcp",
)
def described(at: At) -> Iterator[Found]:
    """Every tool of an MCP server is described, and so is every argument."""
    answer, found = _tools(at)
    for tool in found:
        arguments = mapping(mapping(tool.get("inputSchema")).get("properties"))
        bare = [n for n, a in arguments.items() if not text(mapping(a).get("description"))]
        if not text(tool.get("description")) or bare:
            yield Found(f"{tool.get('name')}" + (f": {', '.join(bare)}" if bare else ""), (answer,))


def _tools(at: At) -> tuple[Exchange, list[dict[str, Any]]]:
    talk = _asked(at)
    if len(talk) < 2:
        raise Blocked("initialize was refused")
    answer, told = talk[1]
    return answer, [tool for _, tool in numbered(mapping(told.get("result")).get("tools"))]
