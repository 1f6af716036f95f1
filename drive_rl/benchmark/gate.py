"""Results for CI: JUnit XML, a test for each model and requirement, and a summary in Markdown.

It knows results. It measures nothing.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.page import number
from drive_rl.benchmark.requirements import parse_requirement
from drive_rl.benchmark.results import NOT_MADE, BenchResults, ModelResult

_SHOWN = ("driving_score", "success", "excess_offset_m", "ego_lane_iou", "offset_mae_m", "onnx_p50_ms")


def junit(results: BenchResults) -> str:
    """Return JUnit XML: a test for each model and requirement, and for each part that failed or is skipped."""
    suites = Element("testsuites")
    for model in results.models:
        cases = [(text, _missed(model, text)) for text in results.requirements]
        suite = SubElement(
            suites,
            "testsuite",
            name=model.name,
            tests=str(len(cases) + len(model.errors)),
            failures=str(sum(missed is not None for _, missed in cases)),
            errors=str(sum(reason != NOT_MADE for reason in model.errors.values())),
            skipped=str(sum(reason == NOT_MADE for reason in model.errors.values())),
        )
        for name, missed in cases:
            case = SubElement(suite, "testcase", classname=model.name, name=name)
            if missed is not None:
                SubElement(case, "failure", message=missed)
        for part, reason in model.errors.items():
            case = SubElement(suite, "testcase", classname=model.name, name=part)
            SubElement(case, "skipped" if reason == NOT_MADE else "error", message=reason)
    indent(suites)
    return tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def summary(results: BenchResults) -> str:
    """Return a Markdown summary: the verdict, a table of models, and what is missed or failed."""
    shown = [name for name in _SHOWN if any(name in model.metrics for model in results.models)]
    heads = [METRICS[name].label + (f" [{METRICS[name].unit}]" if METRICS[name].unit else "") for name in shown]
    rows = [[model.name, *(number(model.metrics.get(name)) for name in shown)] for model in results.models]
    lines = ["# Perception benchmark", ""]
    lines += [f"- {sentence}" for sentence in results.comparison.verdict or ()]
    lines += ["", _row(["model", *heads]), _row(["---", *("---:" for _ in shown)]), *map(_row, rows), ""]
    if results.requirements:
        missed = results.missed_requirements
        lines += [f"Required: {', '.join(results.requirements)}: {'missed' if missed else 'met by all models'}.", ""]
        lines += [f"- missed: {_escaped(line)}" for line in missed]
    lines += [line for model in results.models for line in _failed(model)]
    return "\n".join(lines).rstrip() + "\n"


def _failed(model: ModelResult) -> list[str]:
    unmade = [part for part, why in model.errors.items() if why == NOT_MADE]
    failed = {part: why for part, why in model.errors.items() if why != NOT_MADE}
    lines = [f"- {model.name}: not made for {', '.join(unmade)}"] if unmade else []
    return lines + [f"- failed: {model.name}: {part}: {_escaped(why)}" for part, why in failed.items()]


def _missed(model: ModelResult, text: str) -> str | None:
    """Return how a model misses a requirement; None: it does not."""
    requirement = parse_requirement(text)
    value = model.metrics.get(requirement.metric)
    if value is None:
        return f"{requirement.metric} was not measured"
    return None if requirement.holds(value) else f"{requirement.metric} = {value:.4g}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
