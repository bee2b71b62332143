"""Writes canonical_cases.json: what securesystemslib makes of tricky JSON, for the Rust tests.

    python tests/interop/gen_canonical.py           writes the file
    python tests/interop/gen_canonical.py --check   fails if the file is not what would be written

Each case has a `name`, the `input` text, `canonical_hex` (null where securesystemslib refuses)
and `ours`: "same" where our encoder must give those bytes, "refused" where our strict parser
must not take the input at all, whatever securesystemslib does. `why` explains a difference.
"""

import json
import sys
from pathlib import Path

from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

FILE = Path(__file__).with_name("canonical_cases.json")

SAME: dict[str, str] = {
    "empty object": "{}",
    "empty array": "[]",
    "empty string as key and value": '{"":""}',
    "white space everywhere": ' {\t"b" :\r\n[ 1 , 2 ] , "a" : { } } \n',
    "constants": '{"t":true,"f":false,"n":null}',
    "nested": '{"b":[{"d":1,"c":[]},[[]]],"a":{"z":{},"y":[{}]}}',
    "keys sort by code point, capitals first": '{"b":1,"B":2,"a":3,"A":4,"_":5,"0":6}',
    "a key sorts before its own extension": '{"fw 2":1,"fw":2,"fw!":3,"fw#":4}',
    "numeric keys sort as text": '{"10":1,"9":2,"1":3,"01":4}',
    "beyond ASCII": '{"z":1,"é":2,"日本":3,"ß":4}',
    "astral characters sort after the BMP": '{"😀":1,"\uff5e":2,"\ue000":3}',
    "astral character from a surrogate pair": '{"k":"\\ud83d\\ude00"}',
    "no normalisation: two spellings are two keys": '{"\u00e9":1,"e\u0301":2}',
    "no normalisation of values": '["\u00e9","e\u0301","\u212b","\u00c5"]',
    "only quote and backslash are escaped": '["\\"","\\\\","\\/","/"]',
    "control characters are written raw": '["\\n","\\t","\\r","\\b","\\f","\\u0000","\\u001f","\\u007f"]',
    "a PEM value keeps its newlines": '{"public":"-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n"}',
    "escapes in keys sort by what they mean": '{"\\u0062":1,"a":2,"\\u0041":3,"\\n":4,"\\"":5,"\\\\":6}',
    "a key that is an escaped quote": '{"a\\"b":1,"a\\"":2,"a":3,"a!":4}',
    "line separators are plain characters": '["\\u2028","\\u2029","\\ufeff"]',
    "noncharacters": '["\\uffff","\\ufdd0"]',
    "integers": "[0,1,-1,10,1234567890]",
    "largest signed": "[9223372036854775807]",
    "smallest signed": "[-9223372036854775808]",
    "largest unsigned": "[18446744073709551615]",
    "32 levels deep": "[" * 32 + "]" * 32,
    "signed part of a timestamp": json.dumps(
        {
            "_type": "timestamp",
            "spec_version": "1.0.31",
            "version": 7,
            "expires": "2030-01-01T00:00:00Z",
            "meta": {"snapshot.json": {"version": 3, "length": 12, "hashes": {"sha256": "ab"}}},
        },
        indent=2,
    ),
}

# Input to the reason why our parser does not take it.
REFUSED: dict[str, tuple[str, str]] = {
    "fraction": ("[1.0]", "no fractions in canonical JSON"),
    "exponent": ("[1e2]", "an exponent makes it a floating-point number"),
    "minus zero": ("[-0]", "two spellings of one number; securesystemslib writes 0"),
    "minus zero in a field": ('{"version":-0}', "two spellings of one number"),
    "one above the largest": ("[18446744073709551616]", "does not fit 64 bits; securesystemslib has no limit"),
    "one below the smallest": ("[-9223372036854775809]", "does not fit 64 bits; securesystemslib has no limit"),
    "leading zero": ("[01]", "not JSON"),
    "plus sign": ("[+1]", "not JSON"),
    "not a number": ("[NaN]", "not JSON; Python's parser takes it"),
    "infinity": ("[-Infinity]", "not JSON; Python's parser takes it"),
    "duplicate key": ('{"a":1,"a":2}', "two readers may see two values; Python keeps the last"),
    "duplicate key, differently escaped": ('{"a":1,"\\u0061":2}', "the same key after unescaping"),
    "duplicate key, deep": ('{"x":[{"k":{},"k":{}}]}', "at every level"),
    "lone high surrogate": ('["\\ud800"]', "has no UTF-8 form"),
    "lone low surrogate": ('["\\udc00"]', "has no UTF-8 form"),
    "surrogates in the wrong order": ('["\\ude00\\ud83d"]', "has no UTF-8 form"),
    "raw control character": ('["\n"]', "JSON wants it escaped"),
    "unknown escape": ('["\\x41"]', "not JSON"),
    "single quotes": ("['a']", "not JSON"),
    "trailing comma": ("[1,]", "not JSON"),
    "comment": ("[1/**/]", "not JSON"),
    "text after the value": ("{} {}", "only white space may follow"),
    "empty": ("", "not JSON"),
    "byte order mark": ("\ufeff{}", "not JSON"),
    "100 levels deep": ("[" * 100 + "]" * 100, "depth is bounded at 64"),
}


def canonical(text: str) -> bytes | None:
    """securesystemslib's canonical bytes of JSON text; None where it or Python refuses."""
    try:
        return encode_canonical(json.loads(text)).encode()
    except (ValueError, FormatError):
        return None


def document() -> str:
    cases = []
    for name, text in SAME.items():
        data = canonical(text)
        assert data is not None, f"securesystemslib refuses {name!r}"
        cases.append({"name": name, "input": text, "canonical_hex": data.hex(), "ours": "same"})
    for name, (text, why) in REFUSED.items():
        data = canonical(text)
        cases.append(
            {
                "name": name,
                "input": text,
                "canonical_hex": data and data.hex(),
                "ours": "refused",
                "why": why,
            }
        )
    return json.dumps(cases, indent=1) + "\n"


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text() != document():
            print(f"{FILE} is out of date: run {Path(__file__).name}", file=sys.stderr)
            return 1
        return 0
    if sys.argv[1:]:
        print(f"usage: {Path(__file__).name} [--check]", file=sys.stderr)
        return 2
    FILE.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
