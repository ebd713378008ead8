"""The declaration of a component, and what is made of it: the app and the commands."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from tmfkit import deadletter, docs, elsewhere, errors, migrate, openapi
from tmfkit.canvas import CanvasAddresses
from tmfkit.canvas_kubernetes import Cluster, KubernetesAddresses, KubernetesCanvas
from tmfkit.context import Context
from tmfkit.database import Database, dsn
from tmfkit.door import NO_DATABASE, Door, no_database
from tmfkit.follow import Follow, Following, Listeners
from tmfkit.hub import HubEndpoint
from tmfkit.network import Callbacks
from tmfkit.relay import Relay
from tmfkit.resource import Resource
from tmfkit.router import Endpoint, Routes
from tmfkit.security import ClaimMapping, ClientCredentials, Verifier, announce_mode
from tmfkit.settings import Settings
from tmfkit.signals import Signals
from tmfkit.store import Shelf
from tmfkit.tables import KernelTables, document_table, kernel_tables
from tmfkit.telemetry import FASTAPI_TELEMETRY_OFF, Telemetry, TelemetrySettings
from tmfkit.types import Entity
from tmfkit.upstream import Upstream
from tmfkit.versions import View, view
from tmfkit.worker import Every, Worker
from tmfkit.write import Form

log = logging.getLogger("tmfkit")
GC_THRESHOLDS = (10_000, 20, 20)
"""A request makes some hundred objects, hardly any in cycles: the default of 700 would look twice in each."""
Command = Callable[["Component", Sequence[str]], Awaitable[int] | int]


@dataclass(frozen=True)
class Api:
    """One TMF Open API (or one of our own by the same rules), with the versions in which it is served."""

    id: str
    name: str
    versions: tuple[str, ...]
    resources: tuple[Resource, ...]
    root: str = "tmf-api"
    """First segment of its paths below the component's base; the Canvas wants one API without it."""
    tells_roles: bool = False
    """Its hub takes the callbacks of TRUSTED_CALLBACKS without a token."""

    def path(self, base: str, version: str) -> str:
        """/<component>/tmf-api/<api>/<version>."""
        return "/".join([base, *([self.root] if self.root else []), self.name, version])

    @property
    def newest(self) -> str:
        return max(self.versions)


@dataclass(frozen=True)
class Component:
    """A whole component on one screen: what it serves, hears, does by itself, and depends on."""

    name: str
    package: str
    settings: type[Settings]
    apis: tuple[Api, ...]
    metadata: MetaData = field(default_factory=MetaData)
    routes: tuple[APIRouter, ...] = ()
    follows: tuple[Follow, ...] = ()
    flows: tuple[Every, ...] = ()
    dependencies: tuple[str, ...] = ()
    commands: Mapping[str, Command] = field(default_factory=dict)
    unguarded: tuple[str, ...] = ()
    """Beginnings of own paths that ask for no token, because they hold a key themselves."""
    version: str = "0.1.0"

    def __post_init__(self) -> None:
        names = [f.name for f in self.follows]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"{self.name} follows twice under one name: {', '.join(twice)}")

    @cached_property
    def kernel(self) -> KernelTables:
        return kernel_tables(self.metadata)

    @cached_property
    def shelves(self) -> dict[type[Entity], Shelf]:
        kernel = self.kernel
        return {
            r.model: Shelf(r, api.name, document_table(self.metadata, r), kernel)
            for api in self.apis
            for r in api.resources
        }

    @cached_property
    def schema(self) -> MetaData:
        """All tables of the component: its own, its documents', the kernel's."""
        _ = self.shelves
        return self.metadata

    @cached_property
    def views(self) -> dict[tuple[str, str, str], View]:
        """(api name, version, resource name) -> view."""
        return {
            (api.name, version, r.name): view(r, version, api.newest)
            for api in self.apis
            for version in api.versions
            for r in api.resources
        }

    @property
    def all_dependencies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.dependencies, *(f.dependency for f in self.follows)]))

    # --- what others own ---

    def served(self, settings: Settings) -> tuple[Api, ...]:
        """The APIs that are ours in this deployment."""
        return tuple(api for api in self.apis if api.id not in settings.elsewhere)

    def all_follows(self, settings: Settings) -> tuple[Follow, ...]:
        return (*self.follows, *elsewhere.follows(self, settings))

    def all_flows(self, settings: Settings) -> tuple[Every, ...]:
        return (*self.flows, *elsewhere.flows(self, settings))

    def base(self, settings: Settings | None = None) -> str:
        path = settings.base_path if settings is not None else None
        return "/" + (path if path is not None else self.name).strip("/") if path != "/" else ""

    # --- the app ---

    def app(
        self,
        settings: Settings,
        *,
        worker: bool | None = None,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        callback_client: httpx.AsyncClient | None = None,
        clock: Callable[[], datetime] | None = None,
        telemetry: Telemetry | None = None,
    ) -> App:
        """The ASGI app. `transports` and `callback_client` let tests join apps without sockets."""
        base = self.base(settings)
        telemetry = telemetry or Telemetry(self.name, telemetry_settings(settings), version=self.version)

        @asynccontextmanager
        async def lifespan(app: App) -> AsyncIterator[None]:
            async with self.running(settings, telemetry, transports=transports, clock=clock) as ctx:
                app.state.ctx = ctx
                app.door.ctx = ctx
                for endpoint in app.state.endpoints.values():
                    endpoint.ctx = ctx
                app.state.listeners.ctx = ctx
                runs: Worker | None = None
                if settings.worker if worker is None else worker:
                    relay = Relay(ctx, self.views, callbacks, callback_client)
                    runs = Worker(ctx, relay, Following(ctx, app.state.listeners), self.all_flows(settings))
                    runs.start()
                app.state.worker = runs
                try:
                    yield
                finally:
                    if runs is not None:
                        await runs.stop()

        app = App(
            title=self.name,
            version=self.version,
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            telemetry=FASTAPI_TELEMETRY_OFF,
        )
        callbacks = self.callbacks(settings)
        blank: Any = _Unstarted(settings, telemetry)
        endpoints: dict[tuple[str, str, str], Any] = {}
        for api in self.served(settings):
            for version in api.versions:
                path = api.path(base, version)
                for r in api.resources:
                    v = self.views[api.name, version, r.name]
                    form = Form(v, strict_type=settings.strict_type)
                    endpoints[api.name, version, r.path] = Endpoint(blank, api.name, path, v, form)
                trusted = settings.trusted_callbacks if api.tells_roles else ()
                endpoints[api.name, version, "hub"] = HubEndpoint(blank, api.name, path, version, callbacks, trusted)
        listeners = Listeners(blank, f"{base}/listener", {f.name: f for f in self.all_follows(settings)})
        app.state.endpoints, app.state.listeners, app.state.worker = endpoints, listeners, None
        app.router.routes.extend(self._fixed_routes(base, telemetry, self.served(settings)))
        app.router.routes.append(Mount(f"{base}/listener", app=_Plain(listeners)))
        app.include_router(deadletter.routes(base))
        for router in self.routes:
            app.include_router(router, prefix=base)
        errors.install(app, max_body_bytes=settings.largest_body_bytes)
        for kind in NO_DATABASE:
            app.add_exception_handler(kind, _no_database)
        verifier = self._verifier(settings)
        app.door = Door(blank, telemetry, base, verifier, Routes(endpoints.values()), self.unguarded)
        app.openapi = lambda: self._own_openapi(app, base)  # type: ignore[method-assign]
        announce_mode(log, settings.oidc_issuer if settings.auth_mode == "oidc" else None)
        return app

    def _fixed_routes(self, base: str, telemetry: Telemetry, served: Sequence[Api]) -> list[Route]:
        files = {a.path(base, v): (a, v) for a in served for v in a.versions}

        async def entry(request: Request) -> Response:
            canvas = request.app.state.ctx.canvas
            known = {} if canvas is None else {"addresses": sorted(canvas.addresses.values())}
            return JSONResponse({"component": self.name, "version": self.version, "apis": sorted(files)} | known)

        async def api_entry(request: Request) -> Response:
            api, version = files[request.url.path.rstrip("/")]
            return JSONResponse(
                {
                    "api": api.id,
                    "name": api.name,
                    "version": version,
                    "resources": [r.path for r in api.resources] + ["hub"],
                }
            )

        async def api_file(request: Request) -> Response:
            api, version = files[request.url.path.removesuffix("/openapi.json")]
            return JSONResponse(self.openapi_file(api, version, base))

        async def page(request: Request) -> Response:
            urls = [f"{path}/openapi.json" for path in sorted(files)] + [f"{base}/openapi.json"]
            html = docs.PAGE.replace("__TITLE__", self.name).replace("__APIS__", json.dumps(urls))
            return HTMLResponse(html)

        async def own_file(request: Request) -> Response:
            return JSONResponse(request.app.openapi())

        async def metrics(request: Request) -> Response:
            return Response(telemetry.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

        async def live(request: Request) -> Response:
            return PlainTextResponse("ok")

        async def ready(request: Request) -> Response:
            return await self._ready(request)

        def marked(path: str, endpoint: Any) -> Route:
            async def named(request: Request) -> Response:
                request.scope["tmfkit.route"] = path  # the label of its metrics
                answer: Response = await endpoint(request)
                return answer

            return Route(path, named)

        routes = [marked(base or "/", entry), marked(f"{base}/docs", page), marked(f"{base}/openapi.json", own_file)]
        for path in files:
            routes += [marked(path, api_entry), marked(f"{path}/", api_entry), marked(f"{path}/openapi.json", api_file)]
        for prefix in dict.fromkeys(["", base]):
            routes += [
                marked(f"{prefix}/metrics", metrics),
                marked(f"{prefix}/health/live", live),
                marked(f"{prefix}/health/startup", ready),
                marked(f"{prefix}/health/ready", ready),
            ]
        return routes

    async def _ready(self, request: Request) -> Response:
        ctx = getattr(request.app.state, "ctx", None)
        if ctx is None:
            return JSONResponse({"status": "starting"}, 503)
        try:
            async with ctx.database.pool.acquire(timeout=2) as connection:
                current = await migrate.current(self.package, connection)
        except Exception as e:
            return JSONResponse({"status": "no database", "reason": type(e).__name__}, 503)
        if not current:
            return JSONResponse({"status": "database not migrated"}, 503)
        worker = request.app.state.worker
        follows = worker.following.states if worker else {}
        canvas = {} if ctx.canvas is None else {"canvas": ctx.canvas.states}
        return JSONResponse({"status": "ready", "follows": follows} | canvas)

    def openapi_file(self, api: Api, version: str, base: str | None = None) -> dict[str, Any]:
        """The OpenAPI document of one API in one version."""
        forms = [Form(self.views[api.name, version, r.name]) for r in api.resources]
        path = api.path(self.base() if base is None else base, version)
        return openapi.document(
            component=self.name, api=api.id, name=api.name, version=version, base_path=path, forms=forms
        )

    def _own_openapi(self, app: FastAPI, base: str) -> dict[str, Any]:
        from fastapi.openapi.utils import get_openapi

        told = get_openapi(title=f"{self.name}: own routes", version=self.version, routes=app.router.routes)
        return openapi.own(told)

    def openapi_files(self) -> dict[str, dict[str, Any]]:
        """File name -> document, for every API, version, and the component's own routes."""
        files = {f"{a.name}.{v}.json": self.openapi_file(a, v) for a in self.apis for v in a.versions}
        own = FastAPI(title=self.name, version=self.version)
        own.include_router(deadletter.routes(self.base()))
        for router in self.routes:
            own.include_router(router, prefix=self.base())
        files["own.json"] = self._own_openapi(own, self.base())
        return files

    # --- running ---

    @staticmethod
    def callbacks(settings: Settings) -> Callbacks:
        """Which addresses events may be posted to."""
        return Callbacks(
            settings.callback_allow, settings.callback_deny, settings.callback_schemes, only=settings.callback_only
        )

    def _verifier(self, settings: Settings) -> Verifier | None:
        if settings.auth_mode == "none":
            return None
        if not settings.oidc_issuer:
            raise SystemExit("OIDC_ISSUER is not set. Set it, or AUTH_MODE=none for a local run without security.")
        return Verifier(
            settings.oidc_issuer,
            settings.oidc_audience,
            jwks_uri=settings.oidc_jwks_uri,
            claims=ClaimMapping((settings.oidc_subject_claim,), tuple(settings.oidc_permission_claims)),
            grants=settings.role_permissions,
            tls=trust(settings),
        )

    @asynccontextmanager
    async def running(
        self,
        settings: Settings,
        telemetry: Telemetry | None = None,
        *,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> AsyncIterator[Context[Any]]:
        """A context with its pool, signals and clients; without HTTP and without a worker."""
        telemetry = telemetry or Telemetry(self.name, telemetry_settings(settings))
        url = settings.database_url.get_secret_value()
        database = await Database.open(
            url,
            connections=settings.database_connections,
            statement_timeout_ms=settings.statement_timeout_ms,
            name=self.name,
        )
        telemetry.pool(settings.database_connections, lambda: database.used, lambda: database.idle)
        signals = Signals(dsn(url))
        signals.start()
        canvas = self._canvas(settings)
        upstreams = self._upstreams(settings, telemetry, transports or {}, canvas)
        hrefs = self._hrefs(settings, canvas)
        try:
            if canvas is not None:
                await canvas.start()
            yield Context(
                self.name, settings, database, self.shelves, hrefs, signals, telemetry, upstreams, clock, canvas
            )
        finally:
            if canvas is not None:
                await canvas.aclose()
            for upstream in upstreams.values():
                await upstream.aclose()
            await signals.stop()
            await database.close()
            await asyncio.to_thread(telemetry.close)  # it sends what is left

    def _canvas(self, settings: Settings) -> KubernetesCanvas | None:
        if not settings.canvas_kubernetes:
            return None
        cluster = Cluster(settings.canvas_kubeconfig, settings.canvas_namespace)
        return KubernetesCanvas(cluster, settings.canvas_name or self.name, settings.dependency_ttl_s)

    def _hrefs(self, settings: Settings, canvas: KubernetesCanvas | None) -> Callable[[type[Entity]], str]:
        """Model -> address of its collection: PUBLIC_URL's if that was given, else the gateway's once it is known."""
        places = {r.model: (a.path(self.base(settings), a.newest), r.path) for a in self.apis for r in a.resources}
        given = "public_url" in settings.model_fields_set
        origin = (settings.public_url if given else settings.listener_url or settings.public_url).rstrip("/")
        gateway = None if given else canvas

        def href(model: type[Entity]) -> str:
            api, resource = places[model]
            known = None if gateway is None else gateway.addresses.get(api)
            return f"{known or origin + api}/{resource}"

        return href

    def _upstreams(
        self,
        settings: Settings,
        telemetry: Telemetry,
        transports: Mapping[str, httpx.AsyncBaseTransport],
        canvas: KubernetesCanvas | None,
    ) -> dict[str, Upstream]:
        auth, tls = None, trust(settings)
        if settings.client_id and settings.client_secret:
            auth = ClientCredentials(
                settings.client_id,
                settings.client_secret.get_secret_value(),
                token_url=settings.token_url,
                issuer=None if settings.token_url else settings.oidc_issuer,
                scope=settings.client_scope,
                tls=tls,
            )
        found = {}
        addresses = {
            **settings.dependencies,
            **{o.api.id: o.address for o in elsewhere.owners(self, settings).values()},
        }
        for name in (*self.all_dependencies, *settings.elsewhere):
            configured = addresses.get(name)
            address: Any = [configured] if configured else []
            if settings.canvas_info_url and name not in settings.elsewhere:
                address = CanvasAddresses(
                    settings.canvas_info_url,
                    settings.canvas_name or self.name,
                    name,
                    ttl_s=settings.dependency_ttl_s,
                    fallback_url=configured,
                    tls=tls,
                )
            if canvas is not None and name not in settings.elsewhere:
                address = KubernetesAddresses(canvas, name, address)
            found[name] = Upstream(
                name,
                address,
                auth=auth,
                timeout_s=settings.upstream_timeout_s,
                retries=settings.upstream_retries,
                transport=transports.get(name),
                tls=tls,
                telemetry=telemetry,
            )
        return found

    # --- commands ---

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """serve, work, migrate, check, revision, openapi, and the component's own commands."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.package}", description=f"{self.name} of oda-cem")
        sub = parser.add_subparsers(dest="command", required=True)
        serve = sub.add_parser("serve", help="serve the APIs; also relay events and run flows, unless WORKER=false")
        serve.add_argument("--migrate", action="store_true", help="bring the schema up to date first")
        sub.add_parser("work", help="relay events and run flows, without serving the APIs")
        sub.add_parser("migrate", help="bring the database schema up to date")
        sub.add_parser("check", help="compare the database schema with the declared tables")
        revision = sub.add_parser("revision", help="write the next migration by comparison")
        revision.add_argument("-m", "--message", required=True)
        exported = sub.add_parser("openapi", help="write the OpenAPI files")
        exported.add_argument("--out", help="folder; standard output without")
        for name, run in self.commands.items():
            sub.add_parser(name, help=(run.__doc__ or name).strip().splitlines()[0], add_help=False)
        given, rest = parser.parse_known_args(arguments)
        own = self.commands.get(given.command)
        if rest and own is None:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        try:
            return self._run(given, rest, own)
        except KeyboardInterrupt:
            return 130
        except (*NO_DATABASE, socket.gaierror) as e:
            print(f"the database does not answer: {e}", file=sys.stderr)
            return 1

    def _run(self, given: argparse.Namespace, rest: Sequence[str], own: Command | None) -> int:
        if given.command == "openapi":
            return self._export(given.out)
        if own is not None:
            result = own(self, rest)
            return asyncio.run(_awaited(result)) if not isinstance(result, int) else result
        settings = self.read_settings()
        logging.basicConfig(level=settings.log_level.upper(), format=f"%(levelname)s {self.name}: %(message)s")
        url = settings.database_url.get_secret_value()
        if given.command == "migrate":
            asyncio.run(migrate.upgrade(self.package, url))
        elif given.command == "check":
            found = asyncio.run(migrate.differences(url, self.schema))
            for difference in found:
                print(difference)
            return 1 if found else 0
        elif given.command == "revision":
            print(asyncio.run(migrate.revision(self.package, url, given.message)))
        elif given.command == "serve":
            if given.migrate:
                asyncio.run(migrate.upgrade(self.package, url))
            with self.told(settings) as telemetry:
                self.serve(settings, telemetry)
        elif given.command == "work":
            with self.told(settings) as telemetry:
                asyncio.run(self.work(settings, telemetry))
        return 0

    def read_settings(self) -> Settings:
        """From the environment; a missing or wrong value ends the program with a sentence."""
        from pydantic import ValidationError
        from pydantic_settings import SettingsError

        try:
            return self.settings()
        except ValidationError as e:
            for mistake in e.errors():
                name = ".".join(str(p) for p in mistake["loc"]).upper()
                print(f"{name}: {mistake['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        except SettingsError as e:  # a list or an object that is not JSON
            print(f"{e}: {e.__cause__}", file=sys.stderr)
        raise SystemExit(2)

    def _export(self, out: str | None) -> int:
        from pathlib import Path

        for name, document in sorted(self.openapi_files().items()):
            text = json.dumps(document, indent=1, sort_keys=True) + "\n"
            if out is None:
                print(text)
            else:
                folder = Path(out) / self.name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        return 0

    @contextmanager
    def told(self, settings: Settings) -> Iterator[Telemetry]:
        """Telemetry of a whole process: its logs are those of the root logger."""
        for handler in logging.getLogger().handlers[:]:
            logging.getLogger().removeHandler(handler)
        with Telemetry(self.name, telemetry_settings(settings), version=self.version) as telemetry:
            telemetry.attach_logs()
            yield telemetry

    def serve(self, settings: Settings, telemetry: Telemetry) -> None:
        config = uvicorn.Config(
            self.app(settings, telemetry=telemetry),
            host=settings.host,
            port=settings.port,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            log_config=None,
            timeout_graceful_shutdown=10,
        )
        config.load()
        gc.collect()  # what is there now stays: not to be looked through again and again while serving
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        uvicorn.Server(config).run()

    async def work(self, settings: Settings, telemetry: Telemetry) -> None:
        """Relay and flows alone, until a signal; beside processes that serve with WORKER=false."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, stop.set)
        callbacks = self.callbacks(settings)
        async with self.running(settings, telemetry) as ctx:
            follows = {f.name: f for f in self.all_follows(settings)}
            listeners = Listeners(ctx, f"{self.base(settings)}/listener", follows)
            worker = Worker(ctx, Relay(ctx, self.views, callbacks), Following(ctx, listeners), self.all_flows(settings))
            worker.start()
            await stop.wait()
            await worker.stop()


class App(FastAPI):
    """FastAPI behind the door: every request passes it first, and most need nothing behind it."""

    door: Door

    def build_middleware_stack(self) -> Any:
        self.door.app = super().build_middleware_stack()
        return self.door


async def _no_database(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return errors.response(no_database(), request.url.path)


class _Unstarted:
    """Stands for the context until the app has started: enough to build the routes."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings, self.telemetry = settings, telemetry


class _Plain:
    """A mounted app that sees the whole path and leaves errors to the app around it."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.endpoint(scope, receive, send)


async def _awaited(result: Awaitable[int]) -> int:
    return await result


def telemetry_settings(settings: Settings) -> TelemetrySettings:
    return TelemetrySettings(
        otlp_endpoint=settings.otlp_endpoint,
        sample_ratio=settings.trace_ratio,
        log_format=settings.log_format,
        log_level=settings.log_level,
    )


def trust(settings: Settings) -> ssl.SSLContext | None:
    """Certificates to believe where a private authority signs them; None for the system's."""
    return ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None
