"""The rule file and the settings: what is right is in force, what is wrong is told with its line and field."""

from __future__ import annotations

import pytest

from spanloom.redaction import PII, Redactor, from_settings, load
from spanloom.redaction._load import MAX_RULES
from spanloom.rulefile import RuleFileError
from tests.redaction.secrets_corpus import KEYS

KEY = KEYS["openai_key"][0]
GOOD = """\
version: 1
pii: [email, card]
action: replace
rules:
  - name: customer_id
    pattern: 'CUST-[0-9]{8}'
    contains: [CUST-]
    action: hash
  - name: auth_headers
    attribute: 'http.request.header.*'
    action: drop
  - name: notes
    attribute: ['note.*', 'memo']
  - name: project
    pattern: '(?i)project \\w+'
keep: ['gen_ai.system', 'my.safe.*']
"""


@pytest.fixture
def file(tmp_path):
    """Writes a rule file and gives its path."""

    def write(text):
        path = tmp_path / "redaction.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No settings but those of the test."""
    for name in ("SPANLOOM_REDACT_PII", "SPANLOOM_REDACTION", "SPANLOOM_REDACTION_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_with_everything(file, monkeypatch):
    """Own rules of values and keys, kinds of personal data, keys to keep; secrets are redacted besides."""
    monkeypatch.setenv("SPANLOOM_REDACTION_KEY", "k" * 16)
    redactor = load(file(GOOD))
    text = redactor.text(f"CUST-12345678 wrote to a@example.com about Project Zebra with {KEY} from 203.0.113.7")
    assert text.startswith("[customer_id:")
    assert text.endswith(
        "] wrote to [redacted:email] about [redacted:project] with [redacted:openai_key] from 203.0.113.7"
    )
    found = redactor.attributes(
        {
            "http.request.header.x": "a",
            "note.a": "b",
            "memo": 5,
            "my.safe.key": KEY,
            "my.safe.password": "x",
            "other": "CUST-123",
        }
    )
    assert found == {
        "note.a": "[redacted:notes]",
        "memo": "[redacted:notes]",
        "my.safe.key": KEY,
        "my.safe.password": "x",
        "other": "CUST-123",
    }
    assert redactor.counts()["auth_headers"] == 1


def test_own_rules_find_their_own_in_json(file):
    """With a literal that JSON spells otherwise, and without one."""
    redactor = load(
        file('rules:\n- {name: a, pattern: "müller-[0-9]+", contains: "müller"}\n- {name: b, pattern: "x\\"y"}')
    )
    assert redactor.text('["m\\u00fcller-12", "x\\"y"]') == '["[redacted:a]", "[redacted:b]"]'
    assert redactor.text("müller-12") == "[redacted:a]"


def test_an_own_rule_of_keys_wins_over_keep(file):
    """It was named on purpose."""
    redactor = load(file("rules:\n- {name: a, attribute: 'x.y'}\nkeep: ['x.*']"))
    assert redactor.attributes({"x.y": "1", "x.z": KEY}) == {"x.y": "[redacted:a]", "x.z": KEY}


def test_globs_are_exact_in_case(file):
    """And may name characters."""
    redactor = load(file("rules:\n- {name: a, attribute: 'X.[ab]?'}"))
    assert redactor.attributes({"X.a1": "1", "x.a1": "1", "X.c1": "1", "X.a12": "1"}) == {
        "X.a1": "[redacted:a]",
        "x.a1": "1",
        "X.c1": "1",
        "X.a12": "1",
    }


def test_an_empty_file_is_the_default(file):
    """Secrets, and nothing else."""
    redactor = load(file(""))
    assert redactor.text(f"{KEY} a@example.com") == "[redacted:openai_key] a@example.com"


def test_all_kinds(file):
    """By one word."""
    assert load(file("pii: all")).text("a@example.com 203.0.113.7") == "[redacted:email] [redacted:ip]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 2", "1: version: is not known here; this spanloom reads version 1"),
        ("pii: [mail]", "1: pii[0]: 'mail' is not one of email, card, iban, ssn, phone, ip, all"),
        ("action: drop", "1: action: 'drop' is not one of replace, hash"),
        ("rules:\n- {pattern: a}", "2: rules[0].name: a rule needs a name of letters"),
        ("rules:\n- {name: 'a b', pattern: a}", "2: rules[0].name: a rule needs a name of letters"),
        ("rules:\n- {name: a, pattern: '('}", "2: rules[0].pattern: no regular expression of Python: missing )"),
        ("rules:\n- {name: a, pattern: 'x*'}", "2: rules[0].pattern: fits the empty text"),
        (f"rules:\n- {{name: a, pattern: {'x' * 1001}}}", "2: rules[0].pattern: longer than 1000 characters"),
        ("rules:\n- {name: a}", "2: rules[0]: a rule needs either 'pattern' (of values) or 'attribute' (of keys)"),
        ("rules:\n- {name: a, pattern: x, attribute: y}", "2: rules[0]: a rule needs either"),
        ("rules:\n- {name: a, attribute: y, contains: z}", "2: rules[0].contains: belongs to a rule with 'pattern'"),
        ("rules:\n- {name: a, pattern: x, action: drop}", "2: rules[0].action: 'drop' is not one of replace, hash"),
        ("rules:\n- {name: a, pattern: x}\n- {name: a, pattern: y}", "3: rules[1].name: 'a' stands twice"),
        ("rules:\n- {name: a, patern: x}", "2: rules[0].patern: no such field; did you mean pattern?"),
        ("kepp: [a]", "1: kepp: no such field; did you mean keep?"),
        ("hash_key_env: 'my-secret key'", "1: hash_key_env: not the name of an environment variable"),
        ("action: hash", "1: action: hash needs a key, and SPANLOOM_REDACTION_KEY is not set"),
        ("action: hash\nhash_key_env: MY_KEY", "2: hash_key_env: hash needs a key, and MY_KEY is not set"),
        ("rules: 5", "1: rules: 5 is not a list"),
    ],
)
def test_mistakes(file, text, told):
    """Line, field, and what is wrong."""
    with pytest.raises(RuleFileError) as caught:
        load(file(text))
    assert f"redaction.yaml:{told}" in str(caught.value)
    assert "my-secret" not in str(caught.value)


def test_the_number_of_rules_is_bounded(file):
    """A generated file must not make each span dear."""
    rows = "\n".join(f"- {{name: r{at}, pattern: x{at}}}" for at in range(MAX_RULES + 1))
    with pytest.raises(RuleFileError, match=f"more than {MAX_RULES} rules"):
        load(file(f"rules:\n{rows}"))


def test_a_key_that_is_too_short(file, monkeypatch):
    """It could be guessed."""
    monkeypatch.setenv("SPANLOOM_REDACTION_KEY", "short")
    with pytest.raises(RuleFileError, match="has fewer than 16 bytes"):
        load(file("action: hash"))


def test_without_settings(caplog):
    """Secrets go, personal data stays, and nothing is said."""
    redactor = from_settings()
    assert redactor.text(f"{KEY} a@example.com") == "[redacted:openai_key] a@example.com"
    assert not caplog.records


@pytest.mark.parametrize(("value", "kinds"), [("all", set(PII)), ("Email, ip", {"email", "ip"}), ("card", {"card"})])
def test_kinds_of_the_variable(value, kinds, monkeypatch, caplog):
    """By name, in any case; `all` is all of them."""
    monkeypatch.setenv("SPANLOOM_REDACT_PII", value)
    assert from_settings()._scan.pii == kinds
    assert not caplog.records


def test_an_unknown_kind_is_told_once_with_the_cure(monkeypatch, caplog):
    """The others are in force."""
    monkeypatch.setenv("SPANLOOM_REDACT_PII", "mail,card,fax")
    assert from_settings()._scan.pii == {"card"}
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "spanloom: SPANLOOM_REDACT_PII: fax, mail: not known here; name any of email, card"
    )


def test_the_file_and_the_variable_add_up(file, monkeypatch):
    """Kinds of both are in force."""
    monkeypatch.setenv("SPANLOOM_REDACT_PII", "ip")
    monkeypatch.setenv("SPANLOOM_REDACTION", file("pii: [email]\nrules:\n- {name: x, pattern: zebra}"))
    assert from_settings().text("zebra a@example.com 203.0.113.7") == "[redacted:x] [redacted:email] [redacted:ip]"


def test_a_bad_file_leaves_the_secrets_redacted(file, monkeypatch, caplog):
    """One line for each mistake."""
    monkeypatch.setenv("SPANLOOM_REDACT_PII", "ip")
    monkeypatch.setenv("SPANLOOM_REDACTION", file("rules:\n- {name: a, pattern: '('}\nkepp: 1"))
    assert from_settings().text(f"{KEY} 203.0.113.7") == "[redacted:openai_key] [redacted:ip]"
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "redaction.yaml:2: rules[0].pattern: no regular expression" in lines[0]
    assert "redaction.yaml:3: kepp: no such field" in lines[1]


def test_a_file_that_is_not_there(monkeypatch, caplog):
    """The same."""
    monkeypatch.setenv("SPANLOOM_REDACTION", "no/such/file.yaml")
    assert isinstance(from_settings(), Redactor)
    assert "no/such/file.yaml: cannot be read" in caplog.text


def test_a_hash_without_a_key_becomes_a_replacement(file, monkeypatch, caplog):
    """The line names the variable; all rules of the file are in force."""
    monkeypatch.setenv("SPANLOOM_REDACTION", file("action: hash\nrules:\n- {name: x, pattern: zebra, action: hash}"))
    assert from_settings().text(f"zebra {KEY}") == "[redacted:x] [redacted:openai_key]"
    (record,) = caplog.records
    assert "hash needs a key, and SPANLOOM_REDACTION_KEY is not set; values are replaced instead" in record.getMessage()
