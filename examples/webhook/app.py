"""A web hook: another service says that a player has paid; it counts once, however often it says so."""

import hmac
import os

import msgspec
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import starwire
from starwire import Read, Transaction

tables = MetaData()
purses = Table("purses", tables, Column("player", String, primary_key=True), Column("coins", Integer))
SECRET = os.environ.get("HOOK_SECRET", "")


class Pay(starwire.Command, frozen=True):
    coins: int


class Paid(starwire.Event, frozen=True):
    coins: int


class Purse(starwire.View, frozen=True): ...


class Notice(msgspec.Struct):
    """What the other service sends; `id` is its own name for this payment."""

    id: str
    player: str
    coins: int


async def paid(request: Request) -> JSONResponse:
    given = request.headers.get("authorization", "")
    if not SECRET or not hmac.compare_digest(given.encode(), f"Bearer {SECRET}".encode()):
        return JSONResponse({"error": "unauthorized"}, 401)
    try:
        notice = msgspec.json.decode(await request.body(), type=Notice)
        coins = await app.submit(notice.player, Pay(notice.coins), id=f"hook:{notice.id}")
    except msgspec.MsgspecError as error:
        return JSONResponse({"error": str(error)}, 400)
    except starwire.Rejected as refusal:
        return JSONResponse({"error": refusal.reason}, 409)
    return JSONResponse({"coins": coins})


app = starwire.App("webhook", tables=tables, routes=[Route("/hooks/paid", paid, methods=["POST"])])


@app.command(requires="operator")  # a player's own client is refused; app.submit is not
def pay(tx: Transaction, player: str, order: Pay) -> int:
    if order.coins < 1:
        raise starwire.Rejected("no_coins", "A payment has at least one coin.")
    mine = purses.c.player == player
    coins: int | None = tx.db.scalar(select(purses.c.coins).where(mine))
    if coins is None:
        tx.db.execute(insert(purses).values(player=player, coins=order.coins))
    else:
        tx.db.execute(update(purses).where(mine).values(coins=coins + order.coins))
    total = (coins or 0) + order.coins
    tx.publish(f"player:{player}", Paid(total), message=f"You were paid; you have {total} coins now.")
    return total


@app.view
def purse(read: Read, player: str, ask: Purse) -> int:
    return read.db.scalar(select(purses.c.coins).where(purses.c.player == player)) or 0
