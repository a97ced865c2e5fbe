"""What the rules make of an umbrella's stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.engine.ask import undecided
from monitor.engine.changes import Crossing
from monitor.engine.matter import already_told
from monitor.engine.views import in_words, story_view
from monitor.spread import BrandTide
from monitor.spread.types import ViralLine

if TYPE_CHECKING:
    from monitor.engine.ask import Ask
    from monitor.engine.changes import Changes
    from monitor.engine.state import Mind, UmbrellaState
    from monitor.escalation.types import RuleMemory, StoryView
    from monitor.spread import StorySpread
    from monitor.story.story import Story


class StoryJudge:
    """Judges stories; what is decided goes into the batch's changes."""

    def __init__(self, state: UmbrellaState, ask: Ask) -> None:
        self._state = state
        self._ask = ask

    def story_if_due(self, story: str, changes: Changes, *, watch_only: bool) -> None:
        """Judge a story that was heard of, unless it was judged a moment ago."""
        state = self._state
        if state.clock - state.minds[story].judged_at >= state.settings.pace_s and story in state.grouper:
            self.story(story, changes, watch_only=watch_only)

    def story(self, story: str, changes: Changes, *, watch_only: bool = False, since: float | None = None) -> None:
        """Ask the rules about a story. `watch_only`: decide nothing; `since`: a backlog that began then ends here."""
        mind = self._state.minds[story]
        spread = self._state.spreads[story]
        self._state.dirty.discard(story)
        mind.judged_at = self._state.clock
        if spread.voices < self._state.settings.min_voices and mind.memory.severity is None:
            return
        view = self._view(story, spread)
        now = self._state.clock
        figures = view.spread
        if mind.crossed_at is None and figures is not None and figures.forecast.minutes_to_viral == 0.0:
            mind.crossed_at = now
            self._state.touched.add(story)
            changes.events.append(Crossing(now, self._state.name, story, figures.size, figures.line.size))
        decision, memory = self._ask.live(view, mind.memory, changes)
        shadows = self._ask.shadows(view, mind.shadows, changes, watch_only=watch_only)
        if watch_only or (decision.action == "open" and already_told(self._state, story, view, decision)):
            memory = undecided(memory, mind.memory)
        elif decision.action != "none":
            self._ask.conclude(in_words(view, self._state.grouper.story(story)), decision, since, changes)
        self._keep_shadows(story, mind, shadows)
        if memory != mind.memory:
            self._state.remember(story, mind, memory)
            self._state.touched.add(story)

    def _keep_shadows(self, story: str, mind: Mind, shadows: dict[str, RuleMemory]) -> None:
        """Remember what the shadow rules remember of a story, and to ask them again as time passes."""
        if shadows:
            self._state.shadowed[story] = self._state.clock
        else:
            self._state.shadowed.pop(story, None)
        if shadows != mind.shadows:
            mind.shadows = shadows
            self._state.touched.add(story)

    def ask_shadows(self, now: float, changes: Changes, *, watch_only: bool) -> None:
        """Let time pass for the shadow rules alone: the live ones are judged as if there were none."""
        for story in sorted(self._state.shadowed):
            if now - self._state.shadowed[story] < self._state.settings.settle_s:
                continue
            if story not in self._state.grouper or story not in self._state.spreads:
                self._state.shadowed.pop(story)
                continue
            mind = self._state.minds[story]
            view = self._view(story, self._state.spreads[story])
            self._keep_shadows(story, mind, self._ask.shadows(view, mind.shadows, changes, watch_only=watch_only))

    def _line(self, brand: str) -> ViralLine:
        line = self._state.lines.get(brand)
        if line is None:
            configured = self._state.tree.viral_line(brand)
            if configured is not None:
                line = ViralLine(configured[0], configured[1], "configured")
            else:
                watch = self._state.brands.get(brand)
                line = watch.tide.line() if watch else BrandTide().line()
            self._state.lines[brand] = line
        return line

    def _view(self, story: str, spread: StorySpread) -> StoryView:
        entry = self._state.grouper.story(story)
        brand = entry.brand() or self._state.name
        root = self._state.brands.get(self._state.name)
        heard_since = root.tide.start if root is not None else None
        now = self._state.clock - self._state.settings.grace_s
        figures = spread.assess(now, self._line(brand), heard_since=heard_since)
        return story_view(entry, brand, figures, self._brands_hit(entry))

    def _brands_hit(self, story: Story) -> int:
        """Count the brands, none an ancestor of another, that each hold a tenth of the story or more."""
        least = max(story.size / 10, 3)
        named = {brand for brand, n in story.brands.items() if n >= least}
        above = {ancestor for brand in named for ancestor in self._state.tree.ancestors(brand)}
        return max(len(named - above), 1)
