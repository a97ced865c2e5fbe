"""The stories of a simulated stream: one goes viral, no decoy does, and the truth can be counted from the stream."""

from collections import Counter, defaultdict

import pytest

from monitor.brand.tree import BrandTree
from monitor.simulate import STORIES, Settings, Simulation, brands_file

SEEDS = range(100, 105)
OWN = {"ZephanorAir", "ZephanorAirHelp", "TernTallow", "TernTallowCare", "PillowbyInns", "PillowbyHelp"}


@pytest.fixture(scope="module", params=SEEDS)
def week(request):
    simulation = Simulation(Settings(stories=STORIES, rate=300), seed=request.param)
    return list(simulation.mentions()), simulation.truth()


def counted(records, story):
    seen, kept, ids = set(), [], set(story.ids)
    for mention in records:
        own = mention.author is not None and mention.author.handle in OWN
        if mention.id in ids and mention.id not in seen and not own:
            kept.append(mention)
        seen.add(mention.id)
    return kept


def test_sizes_and_the_crossing_can_be_counted_again(week):
    records, truth = week
    for story in truth.stories:
        mentions = counted(records, story)
        assert len(mentions) == story.size
        crossed = mentions[story.line - 1].published_at if story.size >= story.line else None
        assert crossed == story.crossed_at
        assert min(mention.published_at for mention in mentions) >= story.first_at


def test_only_the_viral_story_reaches_the_line(week):
    _, truth = week
    assert [story.name for story in truth.stories if story.viral] == ["viral"]
    assert {story.name for story in truth.stories} == set(STORIES)
    assert all(story.size <= 0.8 * story.line for story in truth.stories if story.name != "viral")


def test_the_viral_story_starts_small_on_the_days_3_to_6_and_crosses_within_a_day(week):
    records, truth = week
    story = next(story for story in truth.stories if story.viral)
    assert 2 <= (story.first_at - truth.settings.start).total_seconds() / 86_400 < 6
    assert 1.5 * 3600 <= story.crossing_seconds <= 24 * 3600
    assert story.size >= 1.25 * story.line
    early = [m for m in counted(records, story) if (m.published_at - story.first_at).total_seconds() < 120]
    assert len(early) < 0.2 * story.line


def test_the_viral_story_is_told_in_many_ways(week):
    records, truth = week
    mentions = counted(records, next(story for story in truth.stories if story.viral))
    kinds = Counter(mention.kind for mention in mentions)
    assert kinds["repost"] > 0.2 * len(mentions)
    assert min(kinds["reply"], kinds["quote"], kinds["post"]) > 0.05 * len(mentions)
    linked = {"in_reply_to", "repost_of"}
    alone = [m for m in mentions[1:] if not any(getattr(m, field) for field in linked)]
    assert len(alone) > 0.06 * len(mentions)
    assert len({mention.text for mention in alone}) > 0.5 * len(alone)
    assert len({mention.author.id for mention in mentions}) > 0.9 * len(mentions)


def test_the_furious_author_is_one_voice(week):
    records, truth = week
    story = next(story for story in truth.stories if story.name == "furious_author")
    voices = defaultdict(list)
    for mention in counted(records, story):
        voices[mention.author.id].append(mention.published_at)
    times = max(voices.values(), key=len)
    assert len(times) >= 20
    assert (max(times) - min(times)).total_seconds() <= 3600


def test_the_giveaway_is_hundreds_of_reposts_of_the_brand_itself(week):
    records, truth = week
    story = next(story for story in truth.stories if story.name == "giveaway")
    first = next(mention for mention in records if mention.id == story.ids[0])
    assert first.author.handle in OWN
    reposts = [mention for mention in counted(records, story) if mention.kind == "repost"]
    assert len(reposts) > 0.5 * story.size
    assert story.size >= 100


def test_the_old_story_repeats_what_is_not_in_the_stream(week):
    records, truth = week
    story = next(story for story in truth.stories if story.name == "old_story")
    mentions = counted(records, story)
    assert story.size >= 12
    assert all(mention.repost_of or mention.in_reply_to or mention.kind in {"post", "article"} for mention in mentions)
    old = [mention for mention in mentions if (mention.repost_of or "").startswith("n-old-")]
    assert len(old) > 0.3 * len(mentions)
    assert not any(mention.id.startswith("n-old-") for mention in records)


def test_three_people_argue(week):
    records, truth = week
    story = next(story for story in truth.stories if story.name == "angry_thread")
    mentions = counted(records, story)
    assert len({mention.author.id for mention in mentions}) == 3
    if truth.settings.start.toordinal() + 6.5 > story.first_at.toordinal():
        assert len(mentions) == 61


def test_the_busy_hour_is_many_voices_each_with_its_own_words(week):
    records, truth = week
    mentions = counted(records, next(story for story in truth.stories if story.name == "busy_hour"))
    posts = [mention for mention in mentions if mention.kind == "post"]
    assert len({mention.author.id for mention in posts}) > 0.95 * len(posts)
    assert len({mention.text for mention in posts}) > 0.8 * len(posts)


def test_stories_do_not_change_when_others_are_switched_off():
    all_of_them = {story.name: story for story in Simulation(Settings(stories=STORIES), seed=5).truth().stories}
    alone = Simulation(Settings(stories=("viral",), rate=0), seed=5).truth().stories[0]
    assert (alone.first_at, alone.size, alone.crossed_at) == (
        all_of_them["viral"].first_at, all_of_them["viral"].size, all_of_them["viral"].crossed_at,
    )  # fmt: skip


def test_seeds_differ_in_tale_speed_hour_and_first_author():
    found = [Simulation(Settings(stories=("viral",), rate=0), seed=seed).truth().stories for seed in range(200, 212)]
    viral = [story for stories in found for story in stories if story.viral]
    assert len(viral) == 12
    assert len({story.tale for story in viral}) >= 6
    assert len({story.first_at.hour // 6 for story in viral}) >= 3
    hours = sorted(story.crossing_seconds / 3600 for story in viral)
    assert hours[0] < 4
    assert hours[-1] > 10
    followers = sorted(story.first_followers for story in viral)
    assert followers[0] < 2_000
    assert followers[-1] > 6_000


@pytest.mark.parametrize("line", [120, 1_000])
def test_another_line_is_crossed_by_the_viral_story_alone(line):
    stories = Simulation(Settings(stories=STORIES, rate=0, line=line), seed=6).truth().stories
    assert [story.name for story in stories if story.viral] == ["viral"]
    assert all(story.size <= 0.8 * line for story in stories if not story.viral)


def test_a_stream_cut_short_tells_the_truth_of_what_was_emitted():
    whole = Simulation(Settings(rate=300), seed=7)
    records = list(whole.mentions())
    viral = next(story for story in whole.truth().stories if story.viral)
    cut = next(place for place, mention in enumerate(records) if mention.published_at >= viral.crossed_at)
    short = Simulation(Settings(rate=300, limit=cut), seed=7)
    assert list(short.mentions()) == records[:cut]
    story = next(story for story in short.truth().stories if story.name == "viral")
    assert story.size == story.line - 1
    assert story.crossed_at is None
    assert not story.viral


def test_the_brand_file_has_the_line_that_the_truth_states():
    tree = BrandTree.load(brands_file())
    truth = Simulation(Settings(rate=0), seed=8).truth()
    for story in truth.stories:
        assert tree.umbrella_of(story.brand) == story.umbrella
        assert tree.viral_line(story.brand).size == story.line
