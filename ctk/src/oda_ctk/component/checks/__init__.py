"""The checks of a component, by theme. Importing this package registers all of them, in the order they are made."""

from importlib import import_module

THEMES = (
    "documents",
    "schema",
    "naming",
    "sections",
    "interfaces",
    "routing",
    "depending",
    "monitoring",
    "workloads",
    "installing",
    "golden",
    "answering",
    "roles",
    "contexts",
    "living",
)

for _theme in THEMES:
    import_module(f"oda_ctk.component.checks.{_theme}")
