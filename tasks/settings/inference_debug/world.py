"""The server's config with its one mistake, the cases it must answer, and what the log saw."""

from __future__ import annotations

import copy
import json
import random
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.files import WorldFile

_PROSE = (
    "please summarise the report on river levels and tell me which station was highest last week "
    "write a short letter to our landlord about broken heating in flat seven how many people live "
    "near this lake translate following line into plain words list three causes of late trains"
)
_WORDS = _PROSE.split()
_NEW = ("forecast", "invoice", "turbine", "orchard", "parcel")  # the old tokenizer lacks them
_MS_PER_WORD = 400
_LONG = "/v1/chat/long"
_ROUTES = (_LONG, "/v1/chat", "/v1/complete", "/v1/embed")
_LINES = 260


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add config, tokenizers, golden cases and access log.

    Args:
        facts: What the setting knows so far.
        files: The world so far; the server among them.
        rng: This variant's source of chance.

    Returns:
        The facts `config` (as it should be), `cases` (how many), `server` (its text) and
        `incident` (what the note must say), and the files.
    """
    names = facts["names"]
    root, percent, cause = names["root"], int(names["percent"]), names["mistake"]
    vocabulary = sorted({*_WORDS, *_NEW})
    old, new = (
        f"tokenizers/{names['family']}-{revision}.json"
        for revision in (rng.randrange(20, 30), rng.randrange(30, 40))
    )
    right = _config(facts, percent, new, rng)
    wrong, route = _spoilt(right, cause, old, percent, rng)

    users = _users(percent, rng)
    cases = []
    for path in _ROUTES:
        for user in users[:4] if path == "/v1/chat" else rng.sample(users, 2):
            words = _prompt(path, rng)
            ids = [vocabulary.index(word) + 1 for word in words]
            _, model = _answer(right, path, user, words)
            reply = {"model": model, "tokens": ids}
            cases.append({"path": path, "user": user, "prompt": " ".join(words), "reply": reply})

    written = max(file.mtime for file in files if not file.path.endswith(".log"))
    log, failed, ended = _log(wrong, written, users, rng)
    status = failed[0].split()[1]
    incident = {
        "route": route,
        "cause": cause,
        "status": status,
        "first": failed[0].split()[0],
        "requests": str(len(failed)),
    }
    revisions = {
        f"{root}/{path}": json.dumps(
            {word: vocabulary.index(word) + 1 for word in sorted(set(words))}
        )
        for path, words in ((old, _WORDS), (new, vocabulary))
    }
    trained = {"model_type": "llama", "dtype": "float16", "tokenizer": new[11:-5]}
    texts = revisions | {
        f"{root}/config.json": json.dumps(wrong, indent=2),
        f"{root}/golden.json": json.dumps(cases, indent=1),
        f"{names['production.path']}/config.json": json.dumps(trained, indent=2),
        f"{names['draft.path']}/config.json": json.dumps(trained, indent=2),
    }
    more = [
        WorldFile(path, f"{text}\n".encode(), 0o644, written - number * 61)
        for number, (path, text) in enumerate(texts.items())
    ]
    more.append(WorldFile("/srv/log/access.log", "\n".join([*log, ""]).encode(), 0o644, ended))
    [server] = [file.data.decode() for file in files if file.path == f"{root}/server.py"]
    found = {"config": right, "cases": len(cases), "server": server, "incident": incident}
    return found, more


def _config(
    facts: Mapping[str, Any], percent: int, tokenizer: str, rng: random.Random
) -> dict[str, Any]:
    def backend(key: str, first: int, last: int) -> dict[str, Any]:
        model = facts["checkpoints"][key]
        shards = [f"{model['path']}/{shard['name']}" for shard in model["shards"]]
        return {"model": model["name"], "first": first, "last": last, "shards": shards}

    def route(path: str) -> dict[str, Any]:
        split = path == "/v1/chat"
        backends = [backend("production", 0, 99 - percent if split else 99)]
        backends += [backend("draft", 100 - percent, 99)] if split else []
        timeout = 120_000 if path == _LONG else 30_000
        return {"path": path, "tokenizer": tokenizer, "timeout_ms": timeout, "backends": backends}

    return {"port": rng.randrange(8000, 8999), "routes": [route(path) for path in _ROUTES]}


def _spoilt(
    right: dict[str, Any], cause: str, old: str, percent: int, rng: random.Random
) -> tuple[dict[str, Any], str]:
    """Make the one mistake; also gives the route that has it."""
    wrong = copy.deepcopy(right)
    path = {"split": "/v1/chat", "order": _LONG}.get(cause) or rng.choice(_ROUTES)
    route = wrong["routes"][_ROUTES.index(path)]
    main = route["backends"][0]
    if cause == "shards":
        place = rng.randrange(len(main["shards"]))
        count = len(main["shards"])
        changes = ((f"-of-{count:05d}", f"-of-{count + 1:05d}"), ("/srv/models", "/mnt/models"))
        main["shards"][place] = main["shards"][place].replace(*rng.choice(changes))
    elif cause == "split":
        side, key = rng.choice(((0, "last"), (1, "first")))
        route["backends"][side][key] += -1 if key == "last" else 1
    elif cause == "tokenizer":
        route["tokenizer"] = old
    elif cause == "timeout":
        route["timeout_ms"] //= 1000
    else:
        wrong["routes"].insert(rng.randrange(1, 4), wrong["routes"].pop(0))
    return wrong, path


def _users(percent: int, rng: random.Random) -> list[str]:
    """Names of users: at first one for each edge of the split, then anybody."""
    edges = [99 - percent, 100 - percent, 0, 99]
    users: list[str] = []
    while len(users) < 24:
        user = f"u{rng.randrange(10**6):06d}"
        if len(users) >= len(edges) or _bucket(user) == edges[len(users)]:
            users.append(user)
    return users


def _bucket(user: str) -> int:
    return zlib.crc32(user.encode()) % 100


def _prompt(path: str, rng: random.Random) -> list[str]:
    count = rng.randrange(90, 140) if path == _LONG else rng.randrange(5, 12)
    words = rng.choices(_WORDS, k=count)
    words[rng.randrange(count)] = rng.choice(_NEW)
    return words


def _answer(
    config: Mapping[str, Any], path: str, user: str, words: Sequence[str]
) -> tuple[int, str]:
    """What the server answers, but for the tokens: status, and the model's name where it is 200."""
    route = next(one for one in config["routes"] if path.startswith(one["path"]))
    bucket = _bucket(user)
    found = [one for one in route["backends"] if one["first"] <= bucket <= one["last"]]
    if not found:
        return 502, ""
    sizes = {int(shard[-17:-12]) for shard in found[0]["shards"]}
    if len(sizes) > 1 or any(shard.startswith("/mnt/") for shard in found[0]["shards"]):
        return 503, ""
    if _MS_PER_WORD * len(words) > route["timeout_ms"]:
        return 504, ""
    return 200, found[0]["model"]


def _log(
    wrong: Mapping[str, Any], written: int, users: Sequence[str], rng: random.Random
) -> tuple[list[str], list[str], int]:
    """Requests before and after the config was written: all lines, those that failed, the end."""
    newest = max(route["tokenizer"] for route in wrong["routes"])
    stale = {route["path"] for route in wrong["routes"] if route["tokenizer"] != newest}
    at = written - 40 * 3600
    lines, failed = [], []
    for _ in range(_LINES):
        at += rng.randrange(20, 1800)
        path, user = rng.choice(_ROUTES), rng.choice(users[: rng.choice((4, len(users)))])
        words = _prompt(path, rng)
        status, unknown = 200, 0
        if rng.random() < 0.04:
            status, words = 400, []
        elif at > written:
            status, _ = _answer(wrong, path, user, words)
            unknown = int(status == 200 and path in stale)
        time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        took = len(words) * _MS_PER_WORD + rng.randrange(3, 90) if status == 200 else 2
        lines.append(f"{time} {status} {path} {user} {took} {unknown}")
        if status >= 500 or unknown:
            failed.append(lines[-1])
    return lines, failed, at
