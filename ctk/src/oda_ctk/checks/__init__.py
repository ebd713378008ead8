"""The checks, by theme. Importing this package registers all of them, in the order in which they are made."""

from importlib import import_module

THEMES = (
    "reaching",
    "creating",
    "refusing",
    "reading",
    "filtering",
    "jsonpath",
    "paging",
    "patching",
    "patch_media",
    "deleting",
    "lifecycle",
    "polymorphism",
    "concurrency",
    "limits",
    "hub",
    "events",
    "answers",
)

for _theme in THEMES:
    import_module(f"oda_ctk.checks.{_theme}")
