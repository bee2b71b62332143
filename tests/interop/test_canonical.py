"""canonical_cases.json, which the Rust tests read, is what securesystemslib says today."""

import gen_canonical


def test_the_fixture_is_up_to_date() -> None:
    assert gen_canonical.FILE.read_text() == gen_canonical.document()
