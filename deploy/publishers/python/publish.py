# pip install --require-hashes -r requirements.txt && python publish.py
import asyncio
import os

import nats


async def on_error(error):  # what the server refuses (a subject that is not permitted, say) is told here
    print("NATS:", error)


async def store(js, subject, data, msg_id, attempts=5):
    """Until the stream acknowledges it. With the same id a second attempt does no harm."""
    for attempt in range(1, attempts + 1):
        try:
            return await js.publish(subject, data, timeout=2, headers={"Nats-Msg-Id": msg_id})
        except (nats.errors.Error, asyncio.TimeoutError):
            if attempt == attempts:
                raise  # not stored, or not known: keep it and try later, with this id
            await asyncio.sleep(0.1 * 2**attempt)


async def main():
    nc = await nats.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"),
        error_cb=on_error,
        max_reconnect_attempts=-1,  # by default it gives a server up after sixty
    )

    # 1. A value. Nobody need be there to read it.
    await nc.publish("market.prices.ACME", b'{"price":101.25}')

    # 2. With all that Sidestream reads from headers.
    headers = {
        "Sse-Event": "halted",  # the event's name in the browser
        "Sse-Ttl": "30s",  # is not replayed later than that
        "Sse-Priority": "urgent",  # overtakes what waits for a slow reader
        "Nats-Msg-Id": "halt-ACME-1",  # published twice, it is passed on once
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",  # from your tracer
    }
    await nc.publish("market.prices.ACME", b'{"until":"15:30"}', headers=headers)
    await nc.flush()  # publish() fills a buffer; now the server has it

    # 3. What must not be lost.
    ack = await store(nc.jetstream(), "orders.7", b'{"state":"paid"}', "order-7-paid")
    print(ack.stream, ack.seq, *(["duplicate"] if ack.duplicate else []))

    await nc.drain()  # sends what is left, then closes


asyncio.run(main())
