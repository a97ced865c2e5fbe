import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from monitor.brand.match import BrandMatcher
from monitor.brand.tree import BrandTree
from monitor.mention.decode import REASONS, decode
from monitor.mention.mapping import Mapping
from monitor.mention.model import Mention
from monitor.mention.schema import mention_schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "mention.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def example(page, kind):
    return re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1]


def test_the_documented_schema_is_the_codes():
    assert json.loads((DOCS / "mention.schema.json").read_text(encoding="utf-8")) == mention_schema()
    Draft202012Validator.check_schema(mention_schema())


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_are_mentions(text):
    Draft202012Validator(mention_schema()).validate(json.loads(text))
    assert isinstance(decode(text.encode(), record_time=1_772_400_000.0), Mention)


def test_there_are_examples_and_every_field_is_explained():
    assert len(EXAMPLES) >= 4
    for field in Mention.__struct_fields__:
        assert re.search(rf"^\|[^|]*`{field}`", PAGE, re.MULTILINE), field


def test_every_reason_is_documented_in_the_codes_words():
    for reason, text in REASONS.items():
        assert f"| `{reason}` | {text} |" in PAGE


def test_the_documented_mapping_works(tmp_path):
    (tmp_path / "map.yaml").write_text(example(PAGE, "yaml"), encoding="utf-8")
    made = Mapping.load(tmp_path / "map.yaml").apply(
        {"id": 1, "created": "Sun Mar 01 11:59:00 +0000 2026", "type": "Retweet"}
    )
    assert (made["id"], made["kind"], made["published_at"]) == ("1", "repost", "2026-03-01T11:59:00+00:00")


def test_the_documented_brand_file_works(tmp_path):
    page = (DOCS / "brands.md").read_text(encoding="utf-8")
    (tmp_path / "brands.yaml").write_text(example(page, "yaml"), encoding="utf-8")
    matcher = BrandMatcher(BrandTree.load(tmp_path / "brands.yaml"))
    assert matcher.find("the Meridian Air Lounge on the prime meridian")[0].brands == ("meridian-lounge",)
    assert matcher.find("the inns on Meridian Street") == ()
