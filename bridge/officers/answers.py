"""What the bot answers to commands: short, private where it can be, made from what holds now.

Never quotes a message, and never tells anybody about a message that is neither theirs nor said in
a room that they supervise. A line that begins with `!` is shown as a command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.acting.texts import span_of
from bridge.model import (
    JUDGED,
    Action,
    Copy,
    Moment,
    Ms,
    Notify,
    Redact,
    Restore,
    Room,
    RoomClass,
)
from bridge.officers.brake import Words
from bridge.officers.commands import Word
from bridge.policy import ClassPolicy
from bridge.ports import Known, Posted

_ABOUT = {
    Word.HELP: "this list",
    Word.PRIVACY: "what is kept, for how long, and who can read it",
    Word.WHY: "what happened to your message, and why; best as a reply to it or to my note",
    Word.APPEAL: "say that this was wrong, as a reply to my note; a person answers",
    Word.REPORT: "tell professional standards something, and nobody else",
    Word.DECISION: "and your words: put a decision on record",
    Word.PAUSE: "room or all, 30m, and a reason: I stop acting, and go on recording",
    Word.RESUME: "room or all: I act again",
    Word.INCIDENT: "on or off, room or all, 2h, and a reason: in a major incident I only record",
}
_NOT_A_FINDING = "This is not a conduct finding."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Says it. Who asks, and where, has been looked at before."""

    said: Words
    #: Whom officers ask.
    contact: str
    #: Who answers for data protection; empty: the same.
    data_protection: str = ""
    #: Where reports go, as officers know it; empty where none can be made.
    team: str = ""
    #: There are people who read flagged messages without the custodians.
    reviewers: bool = False

    def help(self, words: Sequence[Word], near: str = "", typed: bool = True) -> str:
        """What the bot does, and what can be typed here; *near* is what was probably meant."""
        lines = [f"!{word} {_ABOUT[word]}" for word in words]
        if not typed:
            meant = f" Did you mean !{near}?" if near else ""
            return "\n".join([f"I do not know that one.{meant} You can type:", *lines])
        intro = (
            "I am Blue Lamp, an automated member. I keep rooms social: what belongs in the team's "
            "secure room is moved there, under its sender's name, and its sender is told here. I "
            "record what is said. You can type:"
        )
        return "\n".join([intro, *lines, f"A person: {self.contact}."])

    def privacy(self, here: ClassPolicy, place: str | None) -> str:
        """What is kept of a room, made from the policy that decides now; None: a direct room."""
        where = f"in {place}" if place else "in this direct room, between you and me"
        looked = (
            f"Looked for: {', '.join(here.looks_for)}."
            if here.judged
            else "Nothing is looked for: what you write is recorded and not judged."
        )
        flagged = " Flagged messages: also reviewers." if self.reviewers and here.judged else ""
        lines = [
            f"What you write {where}: it stands there for {span_of(here.visible_days)}. The record "
            f"keeps it for {span_of(here.kept_days)}, also where it is edited or deleted, and "
            "longer under a legal hold.",
            looked,
            f"Readers of the record: {', '.join(here.readers)}; each look is recorded.{flagged}",
            "Not recorded: direct messages between people, and calls. Pictures without a caption "
            "and voice notes are kept, and their words are not judged.",
            f"Questions about your data: {self.data_protection or self.contact}.",
        ]
        if place is None:
            lines.insert(1, "For a room, type !privacy there; the answer comes here.")
        if place is None and self.team:
            lines.append(f"What you send with !report is kept apart: it opens to {self.team} only.")
        return "\n".join(lines)

    # !why

    def why(self, known: Known, done: Sequence[Posted], rule: str, now: Ms, *, own: bool) -> str:
        """What happened to a message; *rule* is the reason of its rule, where we know no better."""
        at, room = self.said.time(known.sent_at, now), self.said.place(known.room)
        whose = "Your message" if own else f"The message of {self.said.person(known.sender)}"
        subject = f"{whose} of {at} in {room}"
        told = [one.effect for one in done if isinstance(one.effect, Notify)]
        copied = [one for one in done if isinstance(one.effect, Copy)]
        reasons = [one.effect.reason for one in copied if isinstance(one.effect, Copy)]
        reasons += [one.reason for one in told if one.moment in _DONE]
        why = next(iter(reasons), rule)
        because = f" Why: {why}." if why else ""
        end = f"{because} {_NOT_A_FINDING} Wrong? Reply to my note about it with !appeal"
        if any(isinstance(one.effect, Restore) for one in done):
            return f"{subject} was moved, and a person put it back.{because}"
        if copied:
            to = copied[-1].effect
            where = self.said.place(to.to) if isinstance(to, Copy) else ""
            when = self.said.time(copied[-1].at, now)
            return f"{subject} was moved to {where}, under its sender's name, at {when}.{end}"
        if any(isinstance(one.effect, Redact) for one in done):
            return f"{subject} was taken out, and was not copied anywhere else.{end}"
        if any(one.moment is Moment.UNREADABLE for one in told):
            return f"{subject} could not be read by me; nothing was done to it."
        action = known.action or Action.ALLOW
        if action is Action.NUDGE:
            return f"{subject} is where it was written. I only asked if it belongs there.{end}"
        if action >= Action.REDIRECT:
            return (
                f"{subject} is to be moved, and was not yet: I am paused there, only practise, or "
                f"could not reach the server.{because}"
            )
        return f"I did nothing to {subject[0].lower()}{subject[1:]}. It is kept as any other."

    def why_not(self) -> str:
        """To somebody whom it is no business of, or about nothing on record: both the same."""
        return (
            "I can tell its sender, and the supervisor of its room, what happened to a message. "
            "Type !why as a reply to your message, or to my note about it."
        )

    def nothing(self) -> str:
        """To somebody to whose messages nothing has happened."""
        return "Nothing has happened to a message of yours there that I would have told you about."

    # Reports

    def reported(self, *, file: bool) -> str:
        """That a report was taken."""
        also = " The file was not taken: ask them how to hand it over." if file else ""
        return (
            f"Thank you. This goes to {self.team} only; nothing shows in any room. Your name is "
            "opened only by them and only if they must, unless the law requires more. Your message "
            f"is taken out of this room, too, so that it is not left on the server.{also}"
        )

    def no_reports(self) -> str:
        """That reports cannot be made here, and what became of the words."""
        return (
            "Reports cannot be taken here: nobody is set up who alone could open them. Your words "
            "were not kept, and your message is taken out of this room. Please speak to "
            f"{self.contact}, who can name a confidential way."
        )

    def report_here(self, room: str) -> str:
        """To somebody who typed a report where others read it."""
        here = (
            f"Please type it again here, where only you and I are: it goes to {self.team} only.\n"
            "!report and your words"
            if self.team
            else f"Reports cannot be taken here; please speak to {self.contact}."
        )
        return (
            f"You typed !report in {room}, where colleagues may have seen it. It is taken out "
            f"there, and was copied nowhere else; the room's record has it. {here}"
        )

    def empty_report(self, *, near: bool = False) -> str:
        """To somebody who typed nothing but the command, or (*near*) something that looks like it.

        What looks like it was not kept either.
        """
        if not self.team:
            return self.no_reports()
        how = f"Type !report and your words in one message: they go to {self.team} only."
        if not near:
            return how
        return (
            "Did you mean !report? Your words were not kept, and your message is taken out of this "
            f"room. {how}"
        )

    def unsure(self, why: str) -> str:
        """To whoever typed something that anybody could have written in their name."""
        return f"Nothing was done: {why}. Please type it again on a device that you have verified."

    def notice(self, record: str) -> str:
        """To professional standards: that there is a report, and nothing of it."""
        return (
            f"There is a report for you: record {record}. Its words and who made it open with your "
            "own key alone, each look recorded: 'bluelamp ledger open --as professional-standards "
            f"--scope rid:{record}'."
        )

    # Decisions, and what does not belong where it was typed

    def decided(self, number: int, record: str, who: str, at: Ms) -> str:
        """That a decision is on record."""
        return (
            f"Decision {number} of this room is on record: {who}, {self.said.time(at, at)}. "
            f"Record {record}."
        )

    def no_decision(self, room: Room | None) -> str:
        """That decisions go on record elsewhere."""
        where = room.secure_name if room and room.secure_name else "your team's secure room"
        return f"Decisions go on record in {where}: please type it there.\n!decision and your words"

    def empty_decision(self) -> str:
        """To somebody who typed nothing but the command."""
        return "Type !decision and what was decided, and why, in one message."

    def elsewhere(self, word: Word, review: str) -> str:
        """That the brake is worked from the review room."""
        return f"That is typed in {review}, by reviewers and supervisors.\n!{word} {_ABOUT[word]}"

    def cannot_appeal(self, why: str) -> str:
        """That there is nothing to appeal."""
        return f"{why} Or speak to {self.contact}."


_DONE = frozenset(
    {Moment.NUDGE, Moment.MOVED, Moment.REMOVED, Moment.STOPPED, Moment.WITHHELD, Moment.CHOOSE}
)


def offered(room: Room | None, *, reports: bool, brake: bool) -> tuple[Word, ...]:
    """What can be typed here; *room* None: in a direct room. *brake*: by this person."""
    words = [Word.HELP, Word.PRIVACY]
    if room is None or room.cls in JUDGED:
        words += [Word.WHY, Word.APPEAL]
    if room is None and reports:
        words.append(Word.REPORT)
    if room is not None and room.cls is RoomClass.OPERATIONAL:
        words.append(Word.DECISION)
    if room is not None and room.cls is RoomClass.REVIEW and brake:
        words += [Word.PAUSE, Word.RESUME, Word.INCIDENT]
    return tuple(words)


def where_is(rooms: Sequence[Room]) -> str:
    """Ask which room is meant."""
    names = ", ".join(sorted(room.name for room in rooms))
    return f"Which room? Name one, or say all. There are: {names}."
