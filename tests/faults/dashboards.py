"""Dashboards on a job's events, each with a connection of its own, all in one process.

`python dashboards.py PORT JOB_ID AFTER COUNT` watches until a line comes on stdin or the job ends,
and prints what each of them has seen: number of the first event, of the last, and whether every
one in between came, once and in order.
"""

import asyncio
import json
import re
import sys
from dataclasses import asdict, dataclass

NUMBER = re.compile(rb"^id: (\d+)$", re.MULTILINE)
LONGEST_LINE = 2**24


@dataclass
class Seen:
    """What one dashboard was sent."""

    first: int
    last: int
    is_whole: bool = True


async def watch(port: int, job_id: str, after: int) -> Seen:
    """Read one stream to its end, or until cancelled."""
    seen = Seen(after + 1, after)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LONGEST_LINE)
    try:
        request = f"GET /v1/jobs/{job_id}/events?after={after} HTTP/1.0\r\nHost: localhost\r\n\r\n"
        writer.write(request.encode())
        while line := await reader.readline():
            if number := NUMBER.match(line):
                seen.is_whole &= int(number[1]) == seen.last + 1
                seen.last = int(number[1])
    except asyncio.CancelledError:
        pass
    finally:
        writer.close()
    return seen


async def main(port: int, job_id: str, after: int, count: int) -> None:
    """Watch with all of them."""
    watchers = [asyncio.create_task(watch(port, job_id, after)) for _ in range(count)]
    stop = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    ended = asyncio.ensure_future(asyncio.gather(*watchers))
    await asyncio.wait([stop, ended], return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        for watcher in watchers:
            watcher.cancel()
    sys.stdout.write(json.dumps([asdict(seen) for seen in await ended]) + "\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
