"""Hear the square in a terminal: `python hear.py http://127.0.0.1:8000`."""

import asyncio
import sys

from starwire.client import Client, guest


async def hear(url: str) -> None:
    async with Client(url, tokens=await guest(url)) as client:
        await client.command("enter")
        print("listening", flush=True)
        async for push in client.pushes():
            if push.event == "said":
                print(f"{push.data['player']}: {push.data['text']}", flush=True)


if __name__ == "__main__":
    asyncio.run(hear(sys.argv[1]))
