"""What an operator may set. Read from the environment when a component starts, never at import.

A component subclasses Settings for its own. Nested values come as JSON (`DEPENDENCIES='{"customer": "https://..."}'`).
"""

from __future__ import annotations

import ipaddress
import logging
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tmfkit.network import Callbacks


class Settings(BaseSettings):
    """Settings that every component has; names in the environment are the upper-case field names."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database of this component alone")
    database_connections: int = Field(8, ge=2, description="upper limit of connections of one process")
    statement_timeout_ms: int = Field(30_000, ge=100, description="PostgreSQL ends a statement that runs longer")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, description="port to listen on")
    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="scheme and authority under which others reach us; used where no request tells it. Unset, and"
        " with canvas_kubernetes, references take the addresses of our Component",
    )
    listener_url: str | None = Field(
        None,
        description="scheme and authority under which the APIs that we follow reach our listeners; default public_url",
    )
    base_path: str | None = Field(None, description="first path segment of all routes; default /<component>")
    forwarded_allow: str = Field(
        "127.0.0.1", description="comma separated addresses whose X-Forwarded-* headers are believed; * for any"
    )

    canvas_system_role: str | None = Field(
        None, description="role under which the Canvas administers the component; made at start if it is not there"
    )

    trusted_callbacks: list[str] = Field(
        default_factory=list,
        description="callbacks that the hubs of the security function take without a token: the Canvas's identity"
        " listener has none",
    )

    auth_mode: Literal["oidc", "none"] = Field("oidc", description="none is for a local run only")
    oidc_issuer: str | None = Field(None, description="issuer whose keys sign the bearer tokens")
    oidc_jwks_uri: str | None = Field(None, description="where the keys are, if not found by discovery")
    oidc_audience: str | None = Field(None, description="audience a token must be meant for; any when unset")
    oidc_subject_claim: str = Field("sub", description="dotted path of the claim that names the caller")
    oidc_permission_claims: list[str] = Field(
        ["permissions", "scope", "realm_access.roles"],
        description="dotted paths of the claims that carry permissions or roles",
    )
    role_permissions: dict[str, list[str]] = Field(
        default_factory=dict, description="role -> permissions of the form <api>:<resource>:<operation>, * for any"
    )
    client_id: str | None = Field(
        None, description="client of this component at the issuer, for calls to other components"
    )
    client_secret: SecretStr | None = None
    client_scope: str | None = None
    token_url: str | None = Field(None, description="token endpoint, if not found by discovery")

    elsewhere: dict[str, str] = Field(
        default_factory=dict,
        description="API id -> address of the system that owns this API, up to /v<major>: it is then not served here,"
        " but followed, and what is written here is brought to its owner",
    )
    dependencies: dict[str, str] = Field(
        default_factory=dict,
        description="dependency name -> address of the API's provider, up to the segment before tmf-api",
    )
    canvas_info_url: str | None = Field(
        None, description="TMF638 information service of the ODA Canvas; asked first when set"
    )
    canvas_name: str | None = Field(
        None, description="name at the Canvas: <release>-<component>; default the component's"
    )
    canvas_kubernetes: bool = Field(
        False,
        description="read our Component and its DependentAPIs from Kubernetes; asked before canvas_info_url. Takes a"
        " Role with get on our own components.oda.tmforum.org and list on dependentapis.oda.tmforum.org",
    )
    canvas_namespace: str | None = Field(None, description="namespace of our Component; default the service account's")
    canvas_kubeconfig: str | None = Field(
        None, description="kubeconfig file, for a process outside of the cluster; default the pod's service account"
    )
    ca_file: str | None = Field(None, description="PEM file with the authorities to trust, for private certificates")
    dependency_ttl_s: float = Field(60.0, gt=0, description="how long an address found at the Canvas is believed")
    upstream_timeout_s: float = Field(10.0, gt=0)
    upstream_retries: int = Field(2, ge=0)

    default_limit: int = Field(100, ge=1, description="page size when a client names none")
    max_limit: int = Field(1000, ge=1, description="largest page size; a larger limit is cut to it")
    partial_content: bool = Field(True, description="206 for a page that is a strict part; false: always 200")
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, description="larger bodies are refused with 413")
    strict_type: bool = Field(False, description="v5: refuse a POST body without @type instead of setting it")

    @property
    def largest_body_bytes(self) -> int:
        """The limit over all routes; a component that takes larger bodies on a route of its own overrides it."""
        return self.max_body_bytes

    callback_allow: list[str] = Field(
        default_factory=list, description="networks or hosts that callbacks may reach although denied by default"
    )
    callback_deny: list[str] = Field(
        default_factory=list, description="networks or hosts that callbacks may never reach"
    )
    callback_only: list[str] = Field(
        default_factory=list, description="if set, the only networks or hosts that callbacks may reach"
    )
    callback_schemes: list[str] = Field(["http", "https"], description="schemes a callback may use")

    delivery_timeout_s: float = Field(10.0, gt=0, description="for one notification")
    delivery_attempts: int = Field(
        8, ge=1, description="a listener may refuse an event this often before it is a dead letter"
    )
    delivery_max_backoff_s: float = Field(60.0, gt=0)
    delivery_max_age_s: float = Field(
        3 * 86_400, gt=0, description="an event undeliverable for longer is a dead letter"
    )
    outbox_retention_s: float = Field(7 * 86_400, gt=0, description="delivered events are kept this long")
    inbox_retention_s: float = Field(14 * 86_400, gt=0, description="ids of received events are remembered this long")
    idempotency_retention_s: float = Field(86_400, gt=0, description="answers to Idempotency-Key are kept this long")
    audit_retention_s: float = Field(365 * 86_400, gt=0)
    follow_interval_s: float = Field(
        15.0, gt=0, description="how often a subscription at another component is confirmed"
    )
    prune_interval_s: float = Field(3600.0, gt=0)

    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP collector; nothing is exported without")
    trace_ratio: float = Field(0.05, ge=0, le=1, description="share of new traces that is sampled")
    log_format: Literal["text", "json"] = "text"
    log_level: str = "INFO"
    worker: bool = Field(True, description="serve also runs the relay and the flows; false where `work` runs beside it")

    @field_validator("database_url")
    @classmethod
    def _of_postgresql(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql:", "postgresql+", "postgres:")):
            raise ValueError("it begins with postgresql://")
        return value

    @field_validator("callback_allow", "callback_deny", "callback_only")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        Callbacks(value)
        return value

    @field_validator("forwarded_allow")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip() not in ("", "*"):
                ipaddress.ip_network(part.strip(), strict=False)
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError("it is DEBUG, INFO, WARNING, ERROR or CRITICAL")
        return value
