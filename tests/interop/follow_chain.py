#!/usr/bin/env python3
"""Makes python-tuf follow a chain of roots, as its client does, and stops where it refuses.

    follow_chain.py 1.root.json 2.root.json ...

Exit codes: 0 python-tuf follows to the last root, 1 it refuses one, 2 wrong usage.
"""

import sys
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType


class RefusedError(Exception):
    """python-tuf refuses a root; `index` counts from 0."""

    def __init__(self, index: int, why: Exception) -> None:
        super().__init__(f"python-tuf refuses root number {index + 1} of the chain: {why}")
        self.index = index


def follow_chain(roots: list[bytes]) -> Root:
    """Trusts the first root, follows all others in order (TUF 5.3.4, 5.3.5), returns the last.

    Raises RefusedError for one that its own threshold or that of the root before it has not
    signed, whose version is not the next, or that is not well-formed. Dates are not looked at: a
    chain may pass roots that have expired (TUF 5.3.10).
    """
    if not roots:
        raise ValueError("a chain has at least one root")
    trusted = None
    for index, data in enumerate(roots):
        try:
            if trusted is None:
                trusted = TrustedMetadataSet(data, EnvelopeType.METADATA)
            else:
                trusted.update_root(data)
        except RepositoryError as why:
            raise RefusedError(index, why) from why
    # What python-tuf would write again is what was signed.
    last: Metadata[Root] = Metadata.from_bytes(roots[-1])
    last.signed.verify_delegate("root", last.signed_bytes, last.signatures)
    return last.signed


def main(arguments: list[str]) -> int:
    if not arguments or any(word.startswith("-") for word in arguments):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    try:
        root = follow_chain([Path(file).read_bytes() for file in arguments])
    except OSError as error:
        print(f"follow_chain: {error}", file=sys.stderr)
        return 2
    except RefusedError as error:
        print(f"follow_chain: {arguments[error.index]}: {error}", file=sys.stderr)
        return 1
    print(f"python-tuf follows to root version {root.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
