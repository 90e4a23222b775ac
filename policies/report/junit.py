"""A gate's judgement as JUnit XML, the form that GitHub's actions and GitLab read. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from policies.measure.regression import Judgement, Measured
from policies.report import gate_words

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(judgement: Judgement) -> str:
    """One test case per measure that must hold and per guard.

    A measure that got worse and a guard that does not hold are failures; a measure of which nothing
    can be told is skipped. The verdict, the causes and what to do are the suite's output.
    """
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", name="sallyport gate")
    for one in judgement.measures:
        if one.finding != "not tested":
            case = ET.SubElement(suite, "testcase", classname="gate.measures", name=one.name)
            _tell(case, one)
    for guard in judgement.guards:
        case = ET.SubElement(suite, "testcase", classname="gate.guards", name=guard.name)
        if not guard.holds:
            _result(case, "failure", guard.line)
    told = [judgement.line, gate_words.scope(judgement)]
    told += [f"{cause.name}: {cause.line}" for cause in judgement.causes]
    told += gate_words.advice(judgement)
    ET.SubElement(suite, "system-out").text = _clean("\n".join(told))
    for node in (suites, suite):
        node.set("tests", str(len(suite.findall("testcase"))))
        node.set("failures", str(len(suite.findall("testcase/failure"))))
        node.set("skipped", str(len(suite.findall("testcase/skipped"))))
        node.set("errors", "0")
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _tell(case: ET.Element, one: Measured) -> None:
    change = "nothing is counted"
    if all(one.units):
        change = f"{one.before:.3f} -> {one.after:.3f} ({one.low:+.3f} to {one.high:+.3f})"
    if one.finding == "worse":
        _result(case, "failure", f"{change}, p = {one.p:.2g}")
    elif one.finding == "fell":
        _result(case, "skipped", f"cannot tell: {change}: see the guard")
    elif one.finding == "open":
        more = "" if one.more is None else f", {one.more} more samples would tell"
        _result(case, "skipped", f"cannot tell: {change}{more}")


def _result(case: ET.Element, kind: str, message: str) -> None:
    ET.SubElement(case, kind, message=_clean(message)).text = _clean(message)


def _clean(text: str) -> str:
    """Without what no XML may hold, however it is written."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
