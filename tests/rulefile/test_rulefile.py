"""Rule files: what is right is read with its type, what is wrong is told with its line and field."""

from __future__ import annotations

import pytest

from spanloom.rulefile import RuleFileError, read, read_text

GOOD = """\
name: one
names: [a, b]
ratio: 0.25
count: 3
on: true
wait: 1.5m
below:
  x: 1
rows:
  - kind: a
  - kind: b
pairs: {a: 1, b: [x, y], "c": false}
"""


def test_each_type_is_read():
    """Text, list, ratio, integer, flag, duration, section, sections and pairs."""
    top = read_text(GOOD, "f.yaml")
    assert top.text("name") == "one"
    assert top.texts("names") == ("a", "b")
    assert top.texts("name") == ("one",)
    assert top.ratio("ratio") == 0.25
    assert top.integer("count", 1) == 3
    assert top.flag("on") is True
    assert top.duration_s("wait") == 90.0
    below = top.section("below")
    assert below is not None
    assert below.number("x") == 1.0
    assert [row.text("kind") for row in top.sections("rows")] == ["a", "b"]
    assert top.pairs("pairs") == {"a": 1, "b": ["x", "y"], "c": False}
    top.close()
    below.close()
    top.check()


def test_what_is_absent_has_its_default():
    """No field is a mistake by being absent."""
    top = read_text("{}", "f.yaml")
    assert top.text("a", "d") == "d"
    assert top.texts("a") == ()
    assert top.number("a", 7.0) == 7.0
    assert top.integer("a", 5) == 5
    assert top.flag("a", True) is True
    assert top.duration_s("a") is None
    assert top.section("a") is None
    assert list(top.sections("a")) == []
    assert top.pairs("a") == {}
    top.check()
    read_text("", "f.yaml").check()


def take_all(top):
    top.text("text", choices=("x", "y"))
    top.texts("texts", choices=("x", "y"))
    top.flag("flag")
    top.number("number", high=10)
    top.number("least", low=2)
    top.integer("integer", 1)
    top.ratio("ratio")
    top.duration_s("duration")
    top.section("section")
    list(top.sections("sections"))
    top.pairs("pairs")
    top.close()
    top.check()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("text: z", "f.yaml:2: text: 'z' is not one of x, y"),
        ("text: 3", "f.yaml:2: text: 3 is not a text"),
        ("texts: [x, z]", "f.yaml:2: texts[1]: 'z' is not one of x, y"),
        ("texts: {a: b}", "f.yaml:2: texts: a mapping is not a text"),
        ("flag: maybe", "f.yaml:2: flag: 'maybe' is not true or false"),
        ("number: 11", "f.yaml:2: number: 11 is not a number from 0 to 10"),
        ("number: true", "f.yaml:2: number: True is not a number from 0 to 10"),
        ("number: .nan", "f.yaml:2: number: nan is not a number from 0 to 10"),
        ("least: .inf", "f.yaml:2: least: inf is not a number of 2 or more"),
        ("integer: 0", "f.yaml:2: integer: 0 is not a whole number of 1 or more"),
        ("integer: 1.5", "f.yaml:2: integer: 1.5 is not a whole number of 1 or more"),
        ("ratio: 2", "f.yaml:2: ratio: 2 is not a number from 0 to 1"),
        ("duration: 10", "f.yaml:2: duration: 10 is not a duration such as 10s, 500ms, 2m or 1h"),
        ("duration: soon", "f.yaml:2: duration: 'soon' is not a duration such as 10s, 500ms, 2m or 1h"),
        ("section: [1]", "f.yaml:2: section: a list is not a mapping of fields"),
        ("section:", "f.yaml:2: section: nothing is not a mapping of fields"),
        ("sections: 4", "f.yaml:2: sections: 4 is not a list"),
        ("sections: [4]", "f.yaml:2: sections[0]: 4 is not a mapping of fields"),
        ("pairs: {a: {b: 1}}", "f.yaml:2: pairs.a: neither a plain value nor a list of plain values"),
        ("ratioo: 1", "f.yaml:2: ratioo: no such field; did you mean ratio?"),
        ("number: 1" + "0" * 400, "is no value that can be read"),
        ("number: " + "1" * 5000, "is no value that can be read"),
        ("integer: 0x_", "f.yaml:2: integer: '0x_' is no value that can be read"),
        ("integer: !!int abc", "f.yaml:2: integer: 'abc' is no value that can be read"),
        ("flag: !!bool maybe", "f.yaml:2: flag: 'maybe' is no value that can be read"),
        ("text: x\ntext: y", "f.yaml:3: text: stands twice"),
        ("[a]: 1", "f.yaml:2: a field's name must be a text"),
        ("a: &a [*a]", "f.yaml:2: a[0]: nested too deep, or in itself"),
    ],
)
def test_every_mistake_has_its_line_and_field(line, told):
    """One line each: file, line, field, what is wrong."""
    with pytest.raises(RuleFileError) as error:
        take_all(read_text(f"# first\n{line}\n", "f.yaml"))
    assert told in str(error.value)


def test_all_mistakes_are_told_at_once():
    """In the file's order; a long list is cut."""
    with pytest.raises(RuleFileError) as error:
        take_all(read_text("ratio: 3\nflag: 7\n" + "".join(f"zz{n}: 1\n" for n in range(30)), "f.yaml"))
    lines = str(error.value).splitlines()
    assert lines[0].startswith("f.yaml:1: ratio")
    assert lines[1].startswith("f.yaml:2: flag")
    assert lines[-1] == "... and 12 more"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "f.yaml:2: no YAML: "),
        ("a: \x07", "f.yaml: no YAML: "),
        ("- a", "f.yaml:1: the file is no mapping of fields"),
        ("[" * 5000, "f.yaml: nested too deep"),
        ("just text", "f.yaml:1: the file is no mapping of fields"),
        ("a: !!python/name:os.system x", "f.yaml:1: no YAML: "),
    ],
)
def test_what_is_no_rule_file(text, told):
    """Broken YAML, other shapes, and tags that would make objects."""
    with pytest.raises(RuleFileError) as error:
        read_text(f"{text}\n", "f.yaml").close()
        read_text(f"{text}\n", "f.yaml").check()
    assert told in str(error.value)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    """Missing, a folder, too large, no UTF-8: one clear line."""
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"##")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    for name, told in {
        "no.yaml": "cannot be read: No such file",
        "": "cannot be read: Is a directory",
        "large.yaml": "larger than 1,048,576 bytes",
        "latin.yaml": "not UTF-8 at byte 3",
    }.items():
        with pytest.raises(RuleFileError, match=told):
            read(str(tmp_path / name))
    (tmp_path / "good.yaml").write_text(GOOD)
    assert read(str(tmp_path / "good.yaml")).text("name") == "one"


def test_dates_are_texts():
    """Also those that no calendar has."""
    top = read_text("a: 2024-13-45\nb: 2024-01-02\n", "f.yaml")
    assert (top.text("a"), top.text("b")) == ("2024-13-45", "2024-01-02")


def test_json_is_read_as_well():
    """A JSON file is a rule file."""
    assert read_text('{"name": "a", "rows": [{"kind": 1}]}', "f.json").text("name") == "a"


def test_what_stands_in_a_section():
    """Names in their order, what is a mapping or empty, and plain values of any type."""
    top = read_text("b: 1\na: {x: [1, t, true]}\nc: []\nd: {}\ne: [null, [1]]", "f.yaml")
    assert top.names() == ("b", "a", "c", "d", "e")
    assert [name for name in top.names() if top.is_mapping(name)] == ["a", "d"]
    assert [name for name in ("c", "d", "b", "z") if top.is_empty(name)] == ["c", "d"]
    below = top.section("a")
    assert below is not None and below.values("x") == (1, "t", True)
    assert (top.values("b"), top.values("z"), top.values("e")) == ((1,), (), ())
    with pytest.raises(RuleFileError) as raised:
        top.check()
    assert str(raised.value).splitlines() == [
        "f.yaml:5: e[0]: nothing is not a text, a number, true or false",
        "f.yaml:5: e[1]: a list is not a text, a number, true or false",
    ]


def test_a_day_that_is_none_is_a_text():
    """What YAML takes for a date and cannot make one of is left to whoever reads the field."""
    section = read_text("day: 2026-02-30", "x.yaml")
    assert section.text("day") == "2026-02-30"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "x.yaml:1: version: is missing; write version: 2"),
        ("version: 1", "x.yaml:1: version: is not known here; this spanloom reads version 2"),
        ("version: new", "x.yaml:1: version: 'new' is not a whole number of 1 or more"),
    ],
)
def test_files_of_another_form_are_not_read(text, told):
    """Each file says its version."""
    section = read_text(text, "x.yaml")
    section.version(2)
    with pytest.raises(RuleFileError) as error:
        section.check()
    assert str(error.value) == told
