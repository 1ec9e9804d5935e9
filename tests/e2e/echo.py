# SPDX-License-Identifier: GPL-2.0-or-later
"""The echo server and its client from every socket tutorial.

    echo.py server ADDRESS PORT
    echo.py client ADDRESS PORT TEXT
"""

import socket
import sys


def serve(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as server:
        while True:
            connection, client = server.accept()
            with connection:
                print(f"Connected by {client[0]}:{client[1]}", flush=True)
                while data := connection.recv(1024):
                    connection.sendall(data)


def ask(address, port, text):
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(text.encode())
        print("Received", repr(connection.recv(1024).decode()))


if __name__ == "__main__":
    role, host, number, *rest = sys.argv[1:]
    if role == "server":
        serve(host, int(number))
    else:
        ask(host, int(number), rest[0])
