# SPDX-License-Identifier: MIT
"""
An echo by asyncio. usage: asyncio_echo.py server ADDRESS PORT
                          asyncio_echo.py client ADDRESS PORT CONNECTIONS
A client has all its connections open at once; it says how many bytes came back.
"""

import asyncio
import sys

ROUNDS = 5
BYTES = 3000


async def answer(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(address, port):
    server = await asyncio.start_server(answer, address, port, backlog=1024)
    async with server:
        await server.serve_forever()


async def ask(number, everybody, address, port):
    reader, writer = await asyncio.open_connection(address, port)
    count = 0
    everybody.append(number)
    for turn in range(ROUNDS):
        text = f"{number}/{turn} ".encode() * (BYTES // 8)
        writer.write(text)
        assert await reader.readexactly(len(text)) == text
        count += len(text)
    return count, writer


async def ask_all(address, port, connections):
    everybody = []
    results = await asyncio.gather(*(ask(i, everybody, address, port)
                                     for i in range(connections)))
    assert len(everybody) == connections
    for _, writer in results:
        writer.close()
        await writer.wait_closed()
    print("echoed", sum(count for count, _ in results), "bytes over", connections, "connections")


if sys.argv[1] == "server":
    asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(ask_all(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
