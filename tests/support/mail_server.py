"""A real SMTP server on 127.0.0.1 for tests: it takes messages, or gives the answers that a test chose."""

import socket
import ssl
import threading
from contextlib import AbstractContextManager, suppress
from typing import Any

BETWEEN_BYTES = 0.1  # seconds


class MailServer(AbstractContextManager["MailServer"]):
    """One thread for each connection. `answers` has other answers by command; an empty one hangs.

    An answer to one of the commands in `trickled` comes byte by byte.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, at_once: bool = False) -> None:
        self.messages: list[tuple[str, str, bytes]] = []  # sender, recipient, message
        self.commands: list[tuple[str, bool]] = []  # and whether they came over TLS
        self.answers: dict[str, str] = {}
        self.trickled: set[str] = set()
        self._tls = tls
        self._at_once = at_once
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, sock: Any) -> None:
        with suppress(OSError):
            if self._at_once and self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._talk(sock)
        sock.close()

    def _talk(self, sock: Any, *, greeted: bool = False) -> None:
        lines, sender, recipient = sock.makefile("rb"), "", ""
        if not greeted:
            self._say(sock, "", "220 here")
        while line := lines.readline().decode().strip():
            command = line.split()[0].upper()
            self.commands.append((command, isinstance(sock, ssl.SSLSocket)))
            if command == "EHLO":
                more = "" if isinstance(sock, ssl.SSLSocket) or not self._tls else "250-STARTTLS\r\n"
                self._say(sock, command, f"250-here\r\n{more}250 AUTH PLAIN")
            elif command == "STARTTLS" and self._tls:
                self._say(sock, command, "220 go")
                with self._tls.wrap_socket(sock, server_side=True) as secured:
                    self._talk(secured, greeted=True)
                return
            elif command == "DATA":
                self._say(sock, "", "354 go")
                text = b"".join(one.removeprefix(b".") for one in iter(lines.readline, b".\r\n"))
                if self._say(sock, command, "250 taken"):
                    self.messages.append((sender, recipient, text))
            else:
                sender = line.partition("<")[2].partition(">")[0] if command == "MAIL" else sender
                recipient = line.partition("<")[2].partition(">")[0] if command == "RCPT" else recipient
                self._say(sock, command, "235 in" if command == "AUTH" else "250 fine")

    def _say(self, sock: Any, command: str, usual: str) -> bool:
        answer = self.answers.get(command, usual)
        if not answer:
            self._ended.wait(30)
            raise OSError("it hung")
        text = f"{answer}\r\n".encode()
        for part in [text[n : n + 1] for n in range(len(text))] if command in self.trickled else [text]:
            sock.sendall(part)
            self._ended.wait(BETWEEN_BYTES if command in self.trickled else 0)
        return answer.startswith("250")
