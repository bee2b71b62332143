#!/usr/bin/env python3
"""Checks that the listings in documents are the files that they name.

Before a listing stands `<!-- listing: PATH -->` or `<!-- listing: PATH#REGION -->`. A region is what stands in
the file between `[REGION]` and `[end REGION]`, each in a comment line of its own. Listings are compiled and
run where those files are: nothing is shown that does not work.

Usage: scripts/listings.py [--write] DOCUMENT...
"""

import re
import sys
import textwrap
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
LISTING = re.compile(r"(<!-- listing: (?P<path>[^#\s]+)(?:#(?P<region>\S+))? -->\n+```[^\n]*\n)(?P<text>.*?)^(```)$", re.S | re.M)
COMMENT = r"^\s*(?://\s*|#\s+|/\*\s*|<!--\s*)\[{}\]"


def region(path: str, name: str | None) -> str:
    """A file, or the part of it between the marks of a region, without common indentation."""
    text = (HOME / path).read_text()
    if name is None:
        return text.rstrip("\n")
    lines = text.splitlines()
    first = [i for i, line in enumerate(lines) if re.search(COMMENT.format(re.escape(name)), line)]
    last = [i for i, line in enumerate(lines) if re.search(COMMENT.format("end " + re.escape(name)), line)]
    if len(first) != 1 or len(last) != 1 or first > last:
        raise SystemExit(f"listings: {path} has no region [{name}] to [end {name}]")
    inner = [line for line in lines[first[0] + 1 : last[0]] if not re.search(COMMENT.format(r"(end )?[\w-]+"), line)]
    return textwrap.dedent("\n".join(inner)).strip("\n")


def main() -> None:
    words = sys.argv[1:]
    write = "--write" in words
    wrong = 0
    for document in [word for word in words if not word.startswith("--")]:
        path = Path(document)
        text = path.read_text()
        found = LISTING.findall(text)
        if text.count("<!-- listing:") != len(found):
            raise SystemExit(f"listings: {document}: a listing is not followed by a code block")
        new = LISTING.sub(lambda match: match[1] + region(match["path"], match["region"]) + "\n" + match[5], text)
        if new == text:
            continue
        if write:
            path.write_text(new)
        else:
            print(f"listings: {document} shows something else than the files it names: run scripts/listings.py --write {document}", file=sys.stderr)
            wrong = 1
    sys.exit(wrong)


main()
