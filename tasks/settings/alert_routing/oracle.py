"""Takes the policy's steps in their order, on a copy of the table, then edits the table by id."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/cleanup.json"

Route = dict[str, Any]


@dataclass
class _Plan:
    """What is to be done, by id; `moved` says before which route."""

    removed: list[str] = field(default_factory=list)
    pointed: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    once: list[str] = field(default_factory=list)
    added: list[Route] = field(default_factory=list)


def solve(names: Mapping[str, str]) -> Script:
    """Read everything, plan, edit, try, report."""
    root = names["route_root"]
    shown = yield (
        bash(f"ls -la {root}; cat {root}/routes.json", "The table first."),
        bash(f"cat {root}/routes.json", "Let me read the route table."),
    )
    routes: list[Route] = _object(shown.output)["routes"]
    policy = yield (
        bash(f"cat {root}/policy.md", "Now the policy."),
        bash(
            f"cat {root}/policy.md {root}/router.py", "The policy, and how the router reads this."
        ),
    )
    review = re.search(r"as of (\d{4}-\d\d-\d\d)", policy.output)
    if review is None:
        raise Stuck("The policy does not tell of which day the review is.")
    teams = _object((yield bash(f"cat {root}/teams.json", "Who reads what?")).output)
    before = yield (
        bash(f"python3 {root}/router.py {root}/inventory.json", "Where do alerts go today?"),
        bash(f"cd {root} && python3 router.py inventory.json", "How are alerts routed as it is?"),
    )
    alerts = [json.loads(line) for line in before.output.splitlines() if line.startswith("{")]
    plan = _plan(routes, review[1], teams, alerts)
    code = (
        "import json, pathlib\n"
        f"path = pathlib.Path('{root}/routes.json')\n"
        "table = json.loads(path.read_text())\n"
        f"routes = [r for r in table['routes'] if r['id'] not in {plan.removed!r}]\n"
        "by_id = {r['id']: r for r in routes}\n"
        f"for one, to in {plan.pointed!r}.items():\n"
        "    by_id[one]['to'] = to\n"
        f"for one, other in {plan.moved!r}.items():\n"
        "    routes.remove(by_id[one])\n"
        "    routes.insert(routes.index(by_id[other]), by_id[one])\n"
        f"for one in {plan.once!r}:\n"
        "    del by_id[one]['continue']\n"
        f"routes += {plan.added!r}\n"
        "table['routes'] = routes\n"
        "path.write_text(json.dumps(table, indent=1) + '\\n')\n"
    )
    text = f"Step by step that makes {len(plan.removed)} routes to take out. Editing the table."
    yield (
        python(f"{code}print(len(routes), 'routes left')", text),
        python(f"{code}print('left:', [r['id'] for r in routes])", text),
    )
    yield (
        bash(f"cd {root}; python3 router.py inventory.json | head -60", "Do they all arrive now?"),
        bash(f"python3 {root}/router.py {root}/inventory.json | sort", "And where do they go now?"),
    )
    report = {
        "removed": sorted(plan.removed),
        "changed": sorted({*plan.pointed, *plan.moved, *plan.once}),
        "added": sorted(route["id"] for route in plan.added),
    }
    written = json.dumps(report, indent=2)
    yield (
        bash(f"cat > {REPORT} <<'JSON'\n{written}\nJSON\ncat {REPORT}", "Now the report."),
        python(
            f"import pathlib\npathlib.Path('{REPORT}').write_text({written!r})\nprint('written')",
            "I will write down what changed.",
        ),
    )
    sent = yield bash(
        "curl -sS -H 'Content-Type: application/json' -w '\\nHTTP %{http_code}\\n' "
        f"--data-binary @{REPORT} https://{names['change_host']}/v1/changes",
        "The report goes to the change service.",
    )
    left = str(len(routes) - len(plan.removed) + len(plan.added))
    return left if sent.accepted else f"{left}, but the change service did not take the report"


def _object(output: str) -> dict[str, Any]:
    start = output.find("{")
    if start < 0:
        raise Stuck("A file that I need could not be read.")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output, start)[0]
    return found


def _plan(
    table: Sequence[Route], review: str, teams: Mapping[str, Any], alerts: Sequence[Route]
) -> _Plan:
    """The policy's six steps."""
    plan = _Plan()
    routes: list[Route] = []
    for route in table:
        same = [r for r in routes if (r["match"], r["to"]) == (route["match"], route["to"])]
        if route.get("expires", "9999") < review or same:
            plan.removed.append(route["id"])
        else:
            routes.append(dict(route))
    for route in routes:
        receiver = teams["receivers"].get(route["to"], {})
        if receiver.get("gone"):
            plan.pointed[route["id"]] = route["to"] = receiver["successor"]
    for route in list(routes):
        above = routes[: routes.index(route)]
        hiding = next((r for r in above if not r.get("continue") and _takes(r, route)), None)
        if hiding is not None:
            routes.remove(route)
            if hiding["to"] == route["to"]:
                plan.removed.append(route["id"])
            else:
                plan.moved[route["id"]] = hiding["id"]
                routes.insert(routes.index(hiding), route)
    _once_and_all(plan, routes, teams, alerts)
    return plan


def _once_and_all(
    plan: _Plan, routes: list[Route], teams: Mapping[str, Any], alerts: Sequence[Route]
) -> None:
    """The last two steps, which are about where alerts go."""
    owners = {s: (t, team) for t, team in teams["teams"].items() for s in team["services"]}
    for alert in alerts:
        reached: list[Route] = []
        for route in routes:
            if _matches(route, alert):
                reached.append(route)
                if not route.get("continue"):
                    break
        paged: dict[str, Route] = {}
        for route in reached:
            for team in teams["receivers"][route["to"]]["read_by"]:
                if team in paged and paged[team]["id"] not in plan.once:
                    plan.once.append(paged[team]["id"])
                    del paged[team]["continue"]
                paged.setdefault(team, route)
        name, team = owners[alert["service"]]
        if name not in paged:
            added = {"id": f"r-{alert['service']}", "match": {"service": alert["service"]}}
            routes.append(added | {"to": team["default"]})
            plan.added.append(routes[-1])


def _values(wanted: Any) -> set[str]:
    return set(wanted) if isinstance(wanted, list) else {wanted}


def _takes(above: Route, below: Route) -> bool:
    """Whether a route takes every alert that another could match."""
    return all(
        key in below["match"] and _values(below["match"][key]) <= _values(wanted)
        for key, wanted in above["match"].items()
    )


def _matches(route: Route, alert: Route) -> bool:
    return all(alert.get(key) in _values(wanted) for key, wanted in route["match"].items())
