"""The command `train`: labelled customers of the ledger -> a model that may be served, published as TMF915.

scikit-learn is imported here, when a training runs, and nowhere else: what serves does not need it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from churn_prediction import artefact, ledger, offers, rollout
from churn_prediction.domain.features import Feature, LeakageError, Record, Refusal, Specification
from churn_prediction.resources import AiModel
from churn_prediction.settings import ChurnSettings
from tmfkit import Component, Context
from tmfkit.call import CALL, Call
from tmfkit.follow import Following, Listeners
from tmfkit.signals import CHANNEL
from tmfkit.upstream import UpstreamError

if TYPE_CHECKING:
    from churn_prediction.domain.evaluation import Metric
    from churn_prediction.domain.training import Training

NO_LIBRARY, NOT_ENOUGH, REFUSED, NO_SOURCE = 2, 3, 4, 5
TRAINING_LOCK = 0x63687572
SETTLED_S, UNFOLLOWED_S = 2.0, 10.0
CUSTOMER_FOLLOW = "customer360.customerManagement.customer"


@dataclass(frozen=True)
class Outcome:
    """What became of a training: exit code, a sentence, and the model if there is one."""

    code: int
    why: str = ""
    training: Training | None = None
    model_id: str = ""
    new: bool = False
    refused: list[Refusal] = field(default_factory=list)


def main(component: Component, arguments: Sequence[str]) -> int:
    """learn who leaves from the labelled customers of the ledger, and put the model into service"""
    parser = argparse.ArgumentParser(
        prog=f"python -m {component.package} train",
        description=main.__doc__,
        epilog=f"exit codes: {NOT_ENOUGH} not enough labelled customers, {REFUSED} the data know the outcome before it"
        f" happens, {NO_SOURCE} customer-360 does not answer",
    )
    parser.add_argument("--seed", type=int, default=1, help="of folds and intervals; same data, same seed, same model")
    parser.add_argument(
        "--wait", type=int, default=0, metavar="N", help="wait until the ledger holds N labelled customers"
    )
    parser.add_argument("--timeout", type=float, default=600.0, metavar="S", help="longest wait, seconds")
    parser.add_argument(
        "--source",
        default="own",
        metavar="own|URL",
        help="own: the ledger, as the running component fills it; URL: take the customers over from this address of"
        " customer-360 first (the part before /tmf-api)",
    )
    parser.add_argument(
        "--population-rate", type=float, metavar="R", help="churn rate where the model is used, if labels were sampled"
    )
    given = parser.parse_args(arguments)
    if given.population_rate is not None and not 0.0 < given.population_rate < 1.0:
        parser.error("--population-rate lies between 0 and 1")
    if importlib.util.find_spec("sklearn") is None:
        print(
            "train needs scikit-learn: install churn-prediction[training], or take the training image", file=sys.stderr
        )
        return NO_LIBRARY
    settings = component.read_settings()
    logging.basicConfig(level=settings.log_level.upper(), format=f"%(levelname)s {component.name}: %(message)s")
    if given.source != "own":
        settings = settings.model_copy(update={"dependencies": {**settings.dependencies, "customer360": given.source}})
    return asyncio.run(_command(component, settings, given))


async def _command(component: Component, settings: Any, given: argparse.Namespace) -> int:
    async with component.running(settings) as ctx:
        try:
            if given.source != "own":
                print(f"customers taken over: {await take_over(component, ctx)}", flush=True)
        except UpstreamError as e:
            print(f"customer-360 cannot be read: {e}", file=sys.stderr)
            return NO_SOURCE
        short = await waited(ctx, given.wait, given.timeout)
        outcome = Outcome(NOT_ENOUGH, short) if short else await train(ctx, given.seed, given.population_rate)
    if outcome.training is None:
        print(outcome.why, file=sys.stderr)
    for line in report(outcome):
        print(line)
    return outcome.code


async def take_over(component: Component, ctx: Context[ChurnSettings]) -> int:
    """Read every customer of customer-360 through the same door as its events; how many were new or changed."""
    follow = next(f for f in component.follows if f.name == CUSTOMER_FOLLOW)
    listeners = Listeners(ctx, f"{component.base(ctx.settings)}/listener", {follow.name: follow})
    return await Following(ctx, listeners).backfill(follow)


async def waited(ctx: Context[ChurnSettings], wanted: int, timeout_s: float) -> str:
    """Wait for labelled customers: that many, or, if no number is wanted and customer-360 is a dependency, until the
    ledger has stopped growing. Empty when they are there, else a sentence."""
    started = changed = time.monotonic()
    seen = -1
    while True:
        row = await ctx.database.pool.fetchrow(
            "SELECT (SELECT count(*) FROM outcome) AS count,"
            " EXISTS (SELECT FROM following WHERE name = $1 AND backfilled_at IS NOT NULL) AS through",
            CUSTOMER_FOLLOW,
        )
        count, now = int(row["count"]), time.monotonic()
        if count != seen:
            seen, changed = count, now
        if wanted:
            ready = count >= wanted
        else:
            still = now - changed >= (SETTLED_S if row["through"] else UNFOLLOWED_S)
            ready = "customer360" not in ctx.settings.dependencies or (still and (count > 0 or row["through"]))
        if ready:
            return ""
        if changed == now:
            print(f"labelled customers so far: {count}" + (f" of {wanted}" if wanted else ""), flush=True)
        if now - started >= timeout_s:
            return f"not enough to learn from: {count} labelled customers came within {timeout_s:.0f} s" + (
                f", {wanted} were waited for" if wanted else "; is the component running, to take them over?"
            )
        await asyncio.sleep(0.5)


async def train(ctx: Context[ChurnSettings], seed: int, population_rate: float | None = None) -> Outcome:
    """Train on what the ledger holds, and put the model into service. The same data and seed give the same model: then
    nothing is written."""
    async with ctx.transaction() as tx:
        features, refused = await ledger.declared(tx)
        records = await ledger.labelled(tx)
    try:
        trained, left_out = await asyncio.to_thread(_fitted, features, records, seed, population_rate)
    except LeakageError as e:
        return Outcome(REFUSED, f"refused: {e}")
    refused += left_out
    if isinstance(trained, str):
        return Outcome(NOT_ENOUGH, trained, refused=refused)
    from churn_prediction import publication

    await offers.current(ctx)
    predictor, settings = trained.predictor, ctx.settings
    token = CALL.set(Call("churn-prediction/train"))
    try:
        async with ctx.transaction() as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1)", TRAINING_LOCK)
            current = await artefact.active(tx)
            new = current is None or current.version != predictor.version
            id = publication.model_id(predictor.version)
            if new:
                at = ctx.now()
                await publication.publish(tx, trained, refused, at, settings.owner_party)
                await artefact.activate(tx, predictor, trained.card, id, settings.horizon_days, at)
                await rollout.begun(tx, id, ctx.href(AiModel, id))
    finally:
        CALL.reset(token)
    if new:  # this process ends before a signal of its own would have been sent
        await ctx.database.pool.execute("SELECT pg_notify($1, 'outbox,flow:score')", CHANNEL)
        ctx.wake("score")
    return Outcome(0, "", trained, id, new, refused)


def _fitted(
    features: Sequence[Feature], records: Sequence[Record], seed: int, population_rate: float | None
) -> tuple[Training | str, list[Refusal]]:
    """Train without the columns that are refused; they are returned. A text says why there is no model. Raises
    LeakageError when it is rows, not columns, that know the outcome.

    One thread in the linear algebra: the order of summation decides the last bits, and those the version.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from churn_prediction.domain.training import train as fit
    from churn_prediction.domain.validation import NotEnough

    kept, refused = list(features), list[Refusal]()
    with threadpool_limits(limits=1):
        while kept:
            try:
                result = fit(Specification(tuple(kept)), records, seed, population_rate)
            except LeakageError as e:
                columns = {r.column for r in e.refusals}
                if not columns <= {f.name for f in kept}:
                    raise
                refused += e.refusals
                kept = [f for f in kept if f.name not in columns]
                continue
            if isinstance(result, NotEnough):
                return f"not enough to learn from: {result.why}; {result.churners} of {result.n} left", refused
            return result, refused
    labelled = sum(record.get("churned") is not None for record in records)
    return f"not enough to learn from: {labelled} labelled customers and no feature that may be used", refused


def _shown(metric: Metric) -> str:
    if metric.value is None:
        return f"unknown ({metric.method})"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4f} ({metric.method})"
    return f"{metric.value:.4f} (95 % interval {metric.low:.4f} to {metric.high:.4f}, {metric.method})"


def report(outcome: Outcome) -> list[str]:
    """What the command prints."""
    lines = [f"not used: {refusal}" for refusal in outcome.refused]
    if outcome.training is None:
        return lines
    found, card = outcome.training.evaluation, outcome.training.card
    low, high = card["data"]["baseRate"]["low"], card["data"]["baseRate"]["high"]
    lines += [
        f"customers: {found.n} labelled, {found.churners} left"
        f" (base rate {found.churners / found.n:.4f}, 95 % interval {low:.4f} to {high:.4f})",
        f"features: {', '.join(f['name'] for f in card['data']['features'])}",
        f"validation: {card['method']['validation']}",
        f"AUC: {_shown(found.auc)}",
        f"lift in the top 10 %: {_shown(found.lift_10)}",
        f"Brier score: {_shown(found.brier)}",
        f"calibration: {card['calibration']['method']}, expected calibration error {_shown(found.ece)}",
        f"recall at 85 % precision: {_shown(found.recall_at_precision)}",
        f"model: {outcome.model_id}, sha256 {outcome.training.predictor.version}",
        "now in service" if outcome.new else "the same model was in service already: nothing new",
    ]
    return lines
