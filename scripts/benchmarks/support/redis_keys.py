"""The keys of a bench in Redis, and how Redis is set. It needs no package: peers on Node bring their own."""

import socket
from urllib.parse import unquote, urlsplit

# Scripts for Redis; each answers with a single line.
REMOVE = """
local count = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do count = count + redis.call('DEL', key) end
return count
"""
DESCRIBE = """
local info = redis.call('INFO')
local is_kept = string.match(info, 'aof_enabled:(%d)') == '1'
return {ok = string.match(info, 'redis_version:([%w.]+)') .. ', appendonly ' .. (is_kept and 'yes' or 'no')}
"""


def remove(url: str, name: str) -> int:
    """Remove all keys that have the name in theirs; return how many there were."""
    return int(evaluate(url, REMOVE, f"*{name}*"))


def described(url: str) -> str:
    """Return `8.0.2, appendonly no`."""
    return evaluate(url, DESCRIBE)


def evaluate(url: str, script: str, argument: str = "") -> str:
    """Return the one line that a script of Redis answers; raises ConnectionError where it fails."""
    parts = urlsplit(url)
    commands = [("SELECT", parts.path.strip("/") or "0"), ("EVAL", script, "0", argument)]
    if parts.password:
        commands.insert(0, ("AUTH", unquote(parts.username or "default"), unquote(parts.password)))
    address = parts.hostname or "127.0.0.1", parts.port or 6379
    with socket.create_connection(address, timeout=60) as connection:
        answers = connection.makefile("rb")
        for command in commands:
            words = [word.encode() for word in command]
            sent = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            connection.sendall(b"*%d\r\n%b" % (len(words), sent))
            answer = answers.readline().decode().strip()
            if answer.startswith("-"):
                raise ConnectionError(f"Redis: {answer[1:]}")
    return answer[1:]
