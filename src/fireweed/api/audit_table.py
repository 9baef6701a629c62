"""The tables that an audit shows in a terminal."""

from rich.table import Table
from rich.text import Text

from fireweed.api.auditing import Audited
from fireweed.data.audit import Audit
from fireweed.evaluation.audit_rows import PROBLEMS, Row, counts_of, rows_of, size_facts
from fireweed.reporting import Reporter
from fireweed.text import counted, readable, shortened, some_of

MOST_CLASSES = 30
_PATH_COLUMNS = 44
_WIDE_COLUMNS = 110  # from which on there is room for what to do, too
_GROUPED = {"exact_twins": "group", "near_twins": "group", "conflicting_labels": "group"}


def show_audit(audited: Audited, reporter: Reporter) -> None:
    """Print what was found, the gravest first, with the first photo of each kind and what to do; then the classes."""
    audit, doubts = audited.audit, audited.doubts
    unreadable = len(audit.catalog.unreadable)
    reporter.say(
        f"{audit.catalog.title}: {counted(len(audit.catalog) + unreadable, 'photo')}, "
        f"{len(audit.classes)} {'class' if len(audit.classes) == 1 else 'classes'}{_about_sizes(audit)}"
    )
    for note in audit.catalog.notes:
        reporter.warn(note)
    counts = counts_of(audit, doubts)
    if any(counts.values()):
        reporter.say()
        reporter.console.print(_found_table(audited, counts, reporter.console.width >= _WIDE_COLUMNS))
    absent = [
        PROBLEMS[kind].title for kind, count in counts.items() if not count and (kind != "label_errors" or doubts)
    ]
    if absent:
        reporter.say(f"not found: {', '.join(absent)}")
    reporter.say()
    _show_classes(audit, reporter)
    reporter.say()
    if doubts is None:
        reporter.say("labels were not judged; that takes a model: --model RUN, or --weights FILE of Xception")
    else:
        reporter.say(f"labels were judged by {doubts.basis}")


def _about_sizes(audit: Audit) -> str:
    sizes = size_facts(audit)
    if sizes is None:
        return ""
    width, height = sizes["width"], sizes["height"]
    return (
        f"; most about {width['median']:,} x {height['median']:,} pixels, from {width['least']:,} x "
        f"{height['least']:,} to {width['greatest']:,} x {height['greatest']:,}"
    )


def _found_table(audited: Audited, counts: dict[str, int], has_room: bool) -> Table:
    first: dict[str, Row] = {}
    for row in rows_of(audited.audit, audited.doubts):
        first.setdefault(row.problem, row)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("found", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("such as", overflow="fold")
    if has_room:
        table.add_column("what to do", overflow="fold")
    for kind, count in counts.items():
        if count:
            row = first[kind]
            example = f"{shortened(readable(row.path), _PATH_COLUMNS)}: {shortened(readable(row.detail), 80)}"
            what = f"{count:,}" if kind not in _GROUPED else counted(count, _GROUPED[kind])
            remedy = [PROBLEMS[kind].remedy] if has_room else []
            table.add_row(PROBLEMS[kind].title, what, Text(example), *remedy)
    return table


def _show_classes(audit: Audit, reporter: Reporter) -> None:
    parts = list(audit.classes[0].parts) if audit.classes else []
    has_lost = any(row.unreadable for row in audit.classes)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in ("photos", *parts, *(["cannot be read"] if has_lost else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row in audit.classes[:MOST_CLASSES]:
        lost = [f"{row.unreadable:,}"] if has_lost else []
        table.add_row(Text(readable(row.name)), f"{row.photos:,}", *(f"{row.parts[part]:,}" for part in parts), *lost)
    reporter.console.print(table)
    if len(audit.classes) > MOST_CLASSES:
        reporter.say(f"and {len(audit.classes) - MOST_CLASSES:,} more classes (--json has all)")
    for line in class_lines(audit):
        reporter.warn(line)


def class_lines(audit: Audit) -> list[str]:
    """Return sentences on classes that are missing in a part, have few photos, or far fewer than others."""
    lines = []
    by_part: dict[str, list[str]] = {}
    for name, part in audit.missing:
        by_part.setdefault(part, []).append(name)
    lines += [f"no {part} photo of {some_of(names)}" for part, names in by_part.items()]
    if audit.few:
        lines.append(
            f"few photos of {some_of([f'{row.name} ({row.photos})' for row in audit.few])}: expect mistakes there"
        )
    if audit.is_unbalanced:
        lines.append(f"the largest class has {audit.imbalance:.1f} times as many photos as the smallest")
    return lines
