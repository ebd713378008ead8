"""The commands beside `serve`: load, live and once, each in its own process with the database and public addresses."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from demo_operator import live as live_time
from demo_operator import once as one_loop
from demo_operator.load import LoadError, load, say
from demo_operator.memory import Busy
from demo_operator.operations import FAULTS
from demo_operator.settings import DemoSettings
from tmfkit import Component, Context
from tmfkit.telemetry import Telemetry
from tmfkit.upstream import UpstreamError

CLOSED, NOT_CLOSED, NOT_POSSIBLE, INTERRUPTED = 0, 1, 2, 130
Work = Callable[[Context[DemoSettings]], Awaitable[int]]


def _parser(name: str, described: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m demo_operator {name}", description=described)


def _run(component: Component, work: Work) -> int:
    """Run with a context until done or until SIGINT or SIGTERM; what cannot be done is told in a sentence."""
    settings = component.read_settings()

    async def main(telemetry: Telemetry) -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, task.cancel)
        async with component.running(settings, telemetry) as ctx:
            return await work(ctx)

    try:
        with component.told(settings) as telemetry:
            return asyncio.run(main(telemetry))
    except asyncio.CancelledError:
        say("stopped")
        return INTERRUPTED
    except TimeoutError:
        print("a component did not come up in time", file=sys.stderr)
    except (live_time.NotLoadedError, LoadError, UpstreamError, Busy) as e:
        print(e, file=sys.stderr)
    return NOT_POSSIBLE


def load_command(component: Component, arguments: Sequence[str]) -> int:
    """fill the inventories; load history, customers and objectives into the components"""
    _parser("load", load_command.__doc__ or "").parse_args(arguments)

    async def work(ctx: Context[DemoSettings]) -> int:
        await load(ctx)
        return 0

    return _run(component, work)


def live_command(component: Component, arguments: Sequence[str]) -> int:
    """live time with faults, told line by line, until stopped"""
    parser = _parser("live", live_command.__doc__ or "")
    parser.add_argument("--seed", type=int, help="draws the first fault, the next number the next; default SEED")
    parser.add_argument("--fault", choices=FAULTS, default="random", help="kind of the faults")
    parser.add_argument("--speed", type=float, help="simulated seconds per second; default SPEED")
    parser.add_argument("--faults", type=int, help="stop after so many")
    given = parser.parse_args(arguments)

    async def work(ctx: Context[DemoSettings]) -> int:
        faults = math.inf if given.faults is None else given.faults
        with contextlib.suppress(asyncio.CancelledError):
            await live_time.live(ctx, kind=given.fault, seed=given.seed, speed=given.speed, faults=faults)
        say("stopped")
        return 0

    return _run(component, work)


def once_command(component: Component, arguments: Sequence[str]) -> int:
    """one fault through the whole loop, with a summary as JSON; exit 0 only if it closed"""
    parser = _parser("once", once_command.__doc__ or "")
    parser.add_argument("--seed", type=int, help="draws the fault; default SEED")
    parser.add_argument("--fault", choices=FAULTS, default="random")
    parser.add_argument("--json", type=Path, help="file for the summary")
    parser.add_argument("--timeout", type=float, default=one_loop.TIMEOUT_S, help="seconds in all")
    parser.add_argument("--speed", type=float, default=one_loop.SPEED, help="simulated seconds per second")
    given = parser.parse_args(arguments)

    async def work(ctx: Context[DemoSettings]) -> int:
        seed = ctx.settings.seed if given.seed is None else given.seed
        order = one_loop.Order(seed, given.fault, given.speed, given.timeout)
        good, summary = await one_loop.once(ctx, order)
        if given.json:
            given.json.write_text(json.dumps(summary, indent=1) + "\n")
        return CLOSED if good else NOT_CLOSED

    return _run(component, work)


COMMANDS = {"load": load_command, "live": live_command, "once": once_command}
