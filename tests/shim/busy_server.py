# SPDX-License-Identifier: MIT
"""
An echo, a thread a connection, that misuses what it has meanwhile.
usage: busy_server.py ADDRESS PORT WHAT
    fork     each line it answers goes with a child: one that exits, that leaves at once, that execs,
             that closes every descriptor
    limit    it may have few descriptors; says each time that accept had none left
    splice   asks what the stack does not carry, before it listens
"""

import errno
import os
import resource
import socket
import sys
import threading

DESCRIPTORS = 64


def child_of(turn):
    """How the child of this turn ends; none returns."""
    if turn % 4 == 0:
        os._exit(0)
    elif turn % 4 == 1:
        os.execv("/bin/true", ["true"])
    elif turn % 4 == 2:
        os.closerange(0, 1024)
        os._exit(0)
    sys.exit(0)


def answer(sock, forks):
    turn = 0
    with sock, sock.makefile("rb") as file:
        for line in file:
            pid = os.fork() if forks else -1
            if pid == 0:
                child_of(turn)
            sock.sendall(line)
            if forks:
                _, status = os.waitpid(pid, 0)
                assert status == 0, status
            turn += 1


def accept_for_ever(listener, forks):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            print("EMFILE", flush=True)
            threading.Event().wait(0.05)
            continue
        threading.Thread(target=answer, args=(sock, forks), daemon=True).start()


def splice(address):
    """From a pipe into a socket on the stack."""
    end, start = os.pipe()
    os.write(start, b"spliced")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((address, 0))
        try:
            os.splice(end, sock.fileno(), 7)
        except OSError as error:
            print("splice:", errno.errorcode[error.errno], flush=True)
        try:
            sock.setsockopt(socket.SOL_TCP, 31, b"tls")  # TCP_ULP
        except OSError as error:
            print("TCP_ULP:", errno.errorcode[error.errno], flush=True)


what = sys.argv[3]
if what == "limit":
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
if what == "splice":
    splice(sys.argv[1])
with socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=256) as server:
    accept_for_ever(server, what == "fork")
