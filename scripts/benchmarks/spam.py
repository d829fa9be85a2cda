"""How many good and bad comments of the corpus the spam rules sort right."""

import click

from scripts.benchmarks.support import report
from tests.support import spam_corpus
from tests.support.spam_corpus import Verdicts


@click.command()
@click.option("--splits", default=5, type=click.IntRange(1, 100), show_default=True, help="Ways to halve it.")
@click.option("--show", is_flag=True, help="Print the comments that were sorted wrong.")
def spam(splits: int, show: bool) -> None:
    """Judge each comment of the corpus, with a score that has learned from the half that it is not in."""
    lines = [_line("rules alone", *_judge(0, learned=False))]
    for split in range(splits):
        good, bad = _judge(split, learned=True)
        lines.append(_line(f"split {split + 1}", good, bad))
        if show:
            _print_wrong(split, good, bad)
    click.echo(f"{len(spam_corpus.read('good'))} good comments, {len(spam_corpus.read('spam'))} of spam")
    report.table(["", "good held", "good as spam", "spam published", "spam held", "spam as spam"], lines)


def _judge(split: int, *, learned: bool) -> tuple[Verdicts, Verdicts]:
    return (
        spam_corpus.verdicts("good", split, learned=learned),
        spam_corpus.verdicts("spam", split, learned=learned),
    )


def _line(name: str, good: Verdicts, bad: Verdicts) -> list[report.Cell]:
    parts = (
        (good.held, good),
        (good.spam, good),
        (bad.published, bad),
        (bad.held, bad),
        (bad.spam, bad),
    )
    return [name, *(f"{len(some) / of.count:.1%}" for some, of in parts)]


def _print_wrong(split: int, good: Verdicts, bad: Verdicts) -> None:
    for draft, verdict in good.held + good.spam:
        click.echo(
            f"split {split + 1}, good, {verdict.status}: {draft.name}: {draft.message} ({verdict.text})"
        )
    for draft in bad.published:
        click.echo(f"split {split + 1}, spam, published: {draft.name}: {draft.website} {draft.message}")
