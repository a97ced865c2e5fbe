import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.brand.tree import Account, BrandTree, ViralLine
from monitor.mention.yamlfile import FileError

FILE = """
brands:
  - id: meridian
    name: Meridian Group
    aliases: [Meridian]
    must_not_match: [prime meridian]
    viral_line: {size: 500, reach: 1000000}
    owner: duty desk
    children:
      - id: meridian-air
        name: Meridian Air
        match_name: false
        handles: ["@MeridianAir"]
        own_accounts: ["@MeridianHelp", {account: "77", source: forum}]
        lang: en
        contact: press@example.org
        children:
          - {id: meridian-lounge, name: Meridian Lounge, viral_line: 40}
  - id: nord
    name: Café Nord
"""


def load(folder, text):
    file = folder / "brands.yaml"
    file.write_text(text, encoding="utf-8")
    return BrandTree.load(file)


def test_a_tree_is_read(tmp_path):
    tree = load(tmp_path, FILE)
    assert tree.roots == ("meridian", "nord")
    assert tree.path == tmp_path / "brands.yaml"
    assert tree.ancestors("meridian-lounge") == ("meridian-air", "meridian")
    assert [tree.umbrella_of(each) for each in ("meridian-lounge", "nord")] == ["meridian", "nord"]
    air = tree.node("meridian-air")
    assert (air.aliases, air.handles, air.parent, air.lang) == ((), ("meridianair",), "meridian", "en")
    assert air.own_accounts == (Account("meridianhelp"), Account("77", "forum"))
    assert tree.node("meridian").aliases == ("meridian group", "meridian")


def test_the_nearest_viral_line_above_counts(tmp_path):
    tree = load(tmp_path, FILE)
    assert tree.viral_line("meridian-air") == ViralLine(500, 1_000_000)
    assert tree.viral_line("meridian-lounge") == (40, None)
    assert tree.viral_line("nord") is None


def test_an_id_that_the_tree_does_not_have(tmp_path):
    tree = load(tmp_path, FILE)
    assert (tree.ancestors("gone"), tree.umbrella_of("gone"), tree.viral_line("gone")) == ((), "gone", None)
    with pytest.raises(KeyError):
        tree.node("gone")


def test_the_version_follows_the_content_alone(tmp_path):
    version = load(tmp_path, FILE).version
    assert load(tmp_path, "# a remark\n" + FILE).version == version
    assert load(tmp_path, FILE.replace("prime meridian", "the prime meridian")).version != version


BRAND = "brands:\n  - id: a\n    name: Alpha\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("brands: []", 1, "no brand in it"),
        ("brand:\n - id: a", 1, "did you mean 'brands'"),
        ("brands:\n  - a", 2, "holds no keys"),
        ("brands:\n  - id: a\n", 2, "'name' is missing"),
        ("brands:\n  - name: Alpha\n", 2, "'id' is missing"),
        ("brands:\n  - id: A b\n    name: Alpha\n", 2, "will not do"),
        ("brands:\n  - id: 7\n    name: Alpha\n", 2, "put it in quotes"),
        (BRAND + "    alias: [x]\n", 4, "did you mean 'aliases'"),
        (BRAND + "    aliases: x\n", 4, "is no list"),
        (BRAND + "    aliases:\n      - x\n      - ''\n", 6, "is empty"),
        (BRAND + "    aliases:\n      - '!?'\n", 5, "no letter or digit"),
        (BRAND + "    aliases:\n      - 7\n", 5, "put it in quotes"),
        (BRAND + "    aliases:\n      - x\n      - X\n", 6, "'x' stands twice (before: a, line 5)"),
        (BRAND + "    handles: ['two words']\n", 4, "will not do"),
        (BRAND + "    must_not_match: [ALPHA]\n", 4, "is an alias too"),
        (BRAND + "    own_accounts: [7]\n", 4, "will not do"),
        (BRAND + "    own_accounts: [{account: x}]\n", 4, "'source' is missing"),
        (BRAND + "    viral_line: 0\n", 4, "1 or more"),
        (BRAND + "    viral_line: {reach: 5}\n", 4, "'size' is missing; add `size: ...`, how many people"),
        (BRAND + "    viral_line: many\n", 4, "1 or more"),
        (BRAND + "    children:\n      - id: a\n        name: B\n", 5, "the id 'a' stands twice"),
        (BRAND + "  - id: b\n    name: alpha\n", 5, "the alias 'alpha' stands twice"),
        (BRAND + "    handles: ['@x']\n  - {id: b, name: B, handles: [X]}\n", 5, "the handle '@x' stands twice"),
        (
            "brands:\n"
            + "".join(f"{'  ' * n}- id: n{n}\n{'  ' * n}  name: N{n}\n{'  ' * n}  children:\n" for n in range(17)),
            50,
            "levels",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, line, said):
    with pytest.raises(FileError, match=re.escape(f"brands.yaml:{line}: ")) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)


def test_a_name_may_be_spelt_out_as_an_alias(tmp_path):
    assert load(tmp_path, BRAND + "    aliases: [alpha, Alfa]\n").node("a").aliases == ("alpha", "alfa")


def test_from_names():
    tree = BrandTree.from_names(
        ["Meridian Air", " MERIDIAN  air", "Café Nord", "北風", "!!", "Meridian-Air", "", "meridianair"]
    )
    assert tree.roots[:2] == ("meridian-air", "cafe-nord")
    assert tree.node("meridian-air").aliases == ("meridian air",)
    assert tree.node("meridian-air").handles == ("meridianair",)
    assert tree.node("meridian-air-2").handles == ()
    assert len(tree.roots) == len(set(tree.roots)) == 6


def test_the_words_of_an_umbrella_are_those_of_all_its_names(tmp_path):
    tree = load(tmp_path, FILE)
    assert tree.words_of("meridian") == {"meridian", "group", "meridianair", "lounge"}
    assert tree.words_of("gone-since") == {"gone", "since"}


@example(["half \ud83d", "\x1b[31mred"])
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=80), max_size=8))
def test_any_names_make_a_tree(names):
    tree = BrandTree.from_names(names)
    assert len({node.id for node in tree.nodes}) == len(tree.nodes) <= len(names)
    assert BrandTree.from_names(names).version == tree.version
