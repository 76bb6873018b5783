"""``spanloom sampling``: checks a file of sampling rules, says what it does, or turns it into the Collector's."""

from __future__ import annotations

import argparse
import sys
import textwrap

from spanloom import sampling
from spanloom.cli._command import Command, UsageError
from spanloom.rulefile import RuleFileError
from spanloom.semconv import text

_SETTING = "SPANLOOM_SAMPLING"
_BAD_INPUT = 2
_WIDTH = 116


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help=f"the rules; default: {_SETTING}")
    parser.add_argument(
        "--collector", action="store_true", help="print the Collector's tail_sampling policies for the tail rules"
    )
    parser.epilog = "Exit code 2 where the file has a mistake; each is told with its line and field."


def _run(arguments: argparse.Namespace) -> int:
    path = arguments.file or text(_SETTING)
    if not path:
        raise UsageError(f"which file? Name it, or set {_SETTING}")
    try:
        rules = sampling.load(path)
    except RuleFileError as error:
        print(error, file=sys.stderr)
        return _BAD_INPUT
    for line in _collector(path, rules) if arguments.collector else sampling.summary(rules):
        print(line)
    return 0


def _collector(path: str, rules: sampling.SamplingRules) -> list[str]:
    """A configuration of its own: the Collector merges several files, and lists of a later one replace earlier ones."""
    import yaml

    policies, remarks = sampling.policies(rules)
    lines = [f"# Made by `spanloom sampling --collector` from {path}: give it to the Collector as another --config."]
    for remark in remarks:
        lines += textwrap.wrap(remark, _WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False)
    if policies:
        document = {"processors": {"tail_sampling": {"policies": policies}}}
        lines += yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000).splitlines()
    return lines


sampling_command = Command(
    "Check a file of sampling rules, or print the Collector's policies for it.", _configure, _run
)
