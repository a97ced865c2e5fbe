"""Which mention goes into which story, in what order they come, and how much memory that takes."""

from __future__ import annotations

import random
from itertools import count

import pytest

from monitor.mention.model import Author
from monitor.sentiment.reading import Cause, Origin, Reading, ReadMention, Sentiment
from monitor.story import Grouper, StoryBlobError, StorySettings
from monitor.story.blob import MOST_BYTES

NUMBERS = count()
HOUR = 3600.0
LOST = "The front desk lost our booking twice and nobody wanted to help us"
NOISE = "Construction noise next to the pool from six in the morning every day"


def reading(complaint: float = 0.8) -> Reading:
    return Reading("stub", Sentiment(complaint, 1 - complaint, 0.0), complaint, Cause("booking", 0.9, "booking"), "en")


def mention(text: str = LOST, at: float = 0.0, **given) -> ReadMention:
    name = given.pop("id", None) or f"m{next(NUMBERS)}"
    values = {
        "umbrella": "alba", "brands": ("alba",), "source": "bluesky", "kind": "post", "reading": reading(),
        "author": Author(handle=f"@{name}", followers=100),
    } | given  # fmt: skip
    return ReadMention(id=name, published_at=at, observed_at=at, text=text, origin=Origin(0, 0, at), **values)


@pytest.fixture
def grouper() -> Grouper:
    return Grouper("alba")


def test_two_matters_are_two_stories(grouper):
    assert grouper.place(mention(LOST)).story != grouper.place(mention(NOISE)).story


def test_a_near_duplicate_joins(grouper):
    first = grouper.place(mention(LOST))
    second = grouper.place(mention("RT @guest: The front desk lost our booking twice, nobody wanted to help us!! 😡"))
    assert (first.how, second.how, second.story) == ("new", "duplicate", first.story)


def test_short_thanks_never_melt(grouper):
    stories = {grouper.place(mention(text)).story for text in ("thanks!", "Thanks", "thank you so much!", "thanks!")}
    assert len(stories) == 4


def test_near_duplicates_of_two_brands_stay_apart_but_a_whole_copy_joins(grouper):
    near = "My bag was lost again by @{} in Lyon and their luggage desk stayed closed all evening long"
    one = grouper.place(mention(near.format("alba"), brands=("alba",)))
    assert (
        grouper.place(
            mention("My bag was lost again by them, in Lyon, and their luggage desk stayed closed", brands=("brume",))
        ).story
        != one.story
    )
    copied = grouper.place(mention(near.format("alba"), brands=("brume",)))
    assert copied.story == one.story


def test_a_reply_joins_by_the_known_parent_and_by_the_callers_word(grouper):
    first = grouper.place(mention(LOST, id="root"))
    reply = grouper.place(mention("same here", in_reply_to="root"))
    told = grouper.place(mention("and here too", in_reply_to="long-forgotten"), related=first.story)
    assert {reply.story, told.story} == {first.story}
    assert reply.how == told.how == "thread"


def test_a_parent_that_comes_after_its_replies_joins_them(grouper):
    one = grouper.place(mention("me too", in_reply_to="root"))
    two = grouper.place(mention("what a mess", in_reply_to="root"))
    root = grouper.place(mention(LOST, id="root"))
    assert one.story == two.story == root.story


def test_a_bridge_merges_the_small_story_into_the_large(grouper):
    large = grouper.place(mention(LOST)).story
    grouper.place(mention(LOST))
    grouper.place(mention(LOST))
    small = grouper.place(mention(NOISE, id="noise")).story
    bridge = grouper.place(mention(LOST, in_reply_to="noise"))
    assert bridge.story == large
    assert [(m.src, m.into, m.why) for m in bridge.merges] == [(small, large, "duplicate")]
    assert grouper.story(small).id == large
    assert grouper.story(large).size == 5
    assert grouper.place(mention("oh no", in_reply_to="noise")).story == large


def test_promotion_never_bridges(grouper):
    text = "RT to win a weekend for two, follow and retweet our giveaway today everybody"
    grouper.place(mention(text))
    grouper.place(mention(NOISE, id="noise"))
    assert grouper.place(mention(text, in_reply_to="noise")).merges == ()


def test_links_and_rare_tags_join_generic_tags_do_not(grouper):
    one = grouper.place(mention("Read this about the towels https://news.example/2026/alba-towels?utm_source=a"))
    two = grouper.place(mention("Disgusting. https://www.news.example/2026/alba-towels"))
    assert (two.story, two.how) == (one.story, "link")
    three = grouper.place(mention("bed bugs in the mattress of room twelve #albabugs"))
    four = grouper.place(mention("I saw the bugs crawl over my mattress as well #albabugs"))
    assert (four.story, four.how) == (three.story, "hashtag")
    assert grouper.place(mention("breakfast cold, mattress awful, bugs #fail")).story != three.story


def test_own_accounts_are_answers_not_voices(grouper):
    root = grouper.place(mention(LOST, id="root"))
    sorry = "We are sorry to read this, please send us your booking number by message"
    one = grouper.place(mention(sorry, own=True, in_reply_to="root"))
    two = grouper.place(mention(sorry, own=True, in_reply_to="elsewhere"))
    story = grouper.story(root.story)
    assert one.story == root.story
    assert two.story != root.story
    assert (story.size, story.own_replies) == (1, 1)
    assert all("sorry" not in quote.text for quote in story.quotes())


def test_a_repost_without_text_is_read_as_what_it_reposts(grouper):
    grouper.place(mention(LOST, id="root", reading=reading(0.9)))
    known = grouper.place(mention("", kind="repost", repost_of="root", reading=None))
    assert known.share.complaint == pytest.approx(0.9)
    related = grouper.place(mention("", kind="repost", repost_of="unseen", reading=None), related=known.story)
    assert related.share.complaint == pytest.approx(0.9)
    shares = grouper.story(known.story).shares()
    assert (shares.unread, shares.repost) == (0.0, pytest.approx(2 / 3))


def test_what_a_mention_gave_is_taken_out_again(grouper):
    first = grouper.place(mention(LOST, id="keep", reading=reading(0.9)))
    gone = mention(LOST + " at all", id="gone", reading=reading(0.1), author=Author(handle="@big", followers=10**9))
    placed = grouper.place(gone)
    grouper.withdraw(placed.story, placed.share, gone)
    story = grouper.story(first.story)
    assert story.size == 1
    assert story.shares().complaint == pytest.approx(0.9)
    assert all(quote.author == "@keep" for quote in story.quotes())
    grouper.withdraw(first.story, first.share)
    assert first.story in grouper.expire(0.0)
    with pytest.raises(KeyError):
        grouper.story(first.story)


def test_a_delete_is_refused(grouper):
    with pytest.raises(ValueError, match="withdraw"):
        grouper.place(mention("", kind="delete", target="x"))


def test_idle_stories_close_and_one_that_returns_says_after_how_long(grouper):
    first = grouper.place(mention(LOST, at=0.0))
    grouper.place(mention(LOST, at=60.0))
    assert grouper.expire(71 * HOUR) == []
    assert grouper.expire(73 * HOUR) == [first.story]
    with pytest.raises(KeyError):
        grouper.story(first.story)
    back = grouper.place(mention(LOST, at=21 * 24 * HOUR))
    assert (back.story, back.how) == (first.story, "returned")
    assert grouper.story(back.story).returned_after_s == pytest.approx(21 * 24 * HOUR - 60.0)
    assert grouper.story(back.story).size == 3


def test_a_stored_story_comes_back_as_it_was(grouper):
    placed = grouper.place(mention(LOST, id="root"))
    grouper.place(mention(LOST))
    other = Grouper("alba")
    other.restore([grouper.dump(placed.story)])
    before, after = grouper.story(placed.story), other.story(placed.story)
    assert (after.size, after.shares(), after.quotes()) == (before.size, before.shares(), before.quotes())
    assert after.headline() == before.headline() == LOST
    assert other.place(mention(LOST)).story == placed.story
    with pytest.raises(StoryBlobError, match="replay"):
        other.restore([grouper.dump(placed.story)[:-5]])


def test_a_blob_stays_small_whatever_comes(grouper):
    wild = random.Random(1)
    at = 0.0
    root = mention("漢字" * 300, id="r" * 500, source="s" * 300, brands=tuple("b" * 200 + str(i) for i in range(9)))
    placed = grouper.place(root)
    for i in range(300):
        at += 60
        text = "".join(chr(wild.randrange(0x4E00, 0x9FFF)) for _ in range(500)) + " #" + "標" * 90 + str(i)
        text += f" https://x.example/{'p' * 300}{i}"
        grouper.place(
            mention(
                text,
                at,
                id="r" * 500 + str(i),
                in_reply_to="r" * 500,
                source="s" * 300,
                url="https://e.example/" + "u" * 900,
            )
        )
    assert grouper.story(placed.story).size == 301
    assert len(grouper.dump(placed.story)) <= MOST_BYTES
    other = Grouper("alba")
    other.restore([grouper.dump(placed.story)])
    assert other.story(placed.story).size == 301


def test_cycles_and_self_references_end(grouper):
    placed = [
        grouper.place(mention("a b", id="a", in_reply_to="b")),
        grouper.place(mention("b c", id="b", in_reply_to="c")),
        grouper.place(mention("c a", id="c", in_reply_to="a")),
        grouper.place(mention("me me", id="self", in_reply_to="self", repost_of="self")),
    ]
    stories = {grouper.resolve(p.story) for p in placed}
    assert len(stories) == 2
    assert sum(grouper.story(s).size for s in stories) == 4


def test_a_flood_of_one_text_is_one_story_counted_right(grouper):
    for i in range(5_000):
        grouper.place(mention(LOST, at=i * 0.01))
    assert len(grouper) == 1
    story = grouper.story(grouper.live()[0])
    assert story.size == 5_000
    assert len(story.exemplars) <= 5


def test_a_flood_of_nonsense_leaves_the_real_story_standing():
    wild = random.Random(2)
    grouper = Grouper("alba", StorySettings(max_stories=200, recent_keys=500))
    real = {grouper.place(mention(LOST, at=float(i))).story for i in range(3)}.pop()
    for i in range(3_000):
        text = " ".join("".join(wild.choices("abcdefghijklmnop", k=8)) for _ in range(8))
        grouper.place(mention(text, at=10.0 + i))
    assert len(grouper) <= 200
    assert grouper.story(real).size == 3
    assert len(grouper.expire(3_010.0)) == 3_001 - 200


def test_a_thread_of_ten_thousand_is_one_story(grouper):
    grouper.place(mention(LOST, id="root"))
    last = "root"
    for i in range(10_000):
        name = f"r{i}"
        assert grouper.place(mention(f"reply number {i} about it", id=name, in_reply_to=last)).how == "thread"
        last = name
    assert len(grouper) == 1


def test_the_same_order_gives_the_same_and_a_shuffled_minute_nearly_so():
    wild = random.Random(3)
    vocabulary = ["".join(wild.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(3_000)]
    mentions, at = [], 0.0
    for topic in range(60):
        words = wild.sample(vocabulary, 12)
        root = None
        for _ in range(wild.randrange(5, 40)):
            at = wild.uniform(topic * 30, topic * 30 + 900)
            kept = [w for w in words if wild.random() < 0.93]
            name = f"t{next(NUMBERS)}"
            linked = {"in_reply_to": root} if root and wild.random() < 0.5 else {}
            text = "so true " + wild.choice(vocabulary) if linked else " ".join(kept)
            mentions.append(mention(text, at, id=name, **linked))
            root = root or name
    mentions.sort(key=lambda m: m.published_at)

    def group(order):
        grouper = Grouper("alba")
        placed = {m.id: grouper.place(m).story for m in order}
        return {name: grouper.resolve(story) for name, story in placed.items()}

    plain, again = group(mentions), group(mentions)
    shuffled = group(sorted(mentions, key=lambda m: m.published_at + wild.uniform(0, 60)))
    assert plain == again
    most = {}
    for name, story in plain.items():
        most.setdefault(story, []).append(shuffled[name])
    same = sum(max(found.count(s) for s in set(found)) for found in most.values())
    assert same >= 0.95 * len(mentions)
    assert len(set(shuffled.values())) == pytest.approx(len(set(plain.values())), rel=0.05)


def test_a_headline_is_what_was_said_not_who_passed_it_on(grouper):
    placed = grouper.place(mention("RT @someone_else99: Alba broke my grandmother's wheelchair and nobody answers"))
    assert grouper.story(placed.story).headline().startswith("Alba broke my grandmother's wheelchair")
