"""When people answer appeals: within so many hours, on which days, from when to when.

Never reads a clock: every question comes with its time.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bridge.model import Ms

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When appeals are answered, as config.yaml has it. Bank holidays are days as others."""

    zone: ZoneInfo
    #: An appeal is answered within so many hours.
    answer: int = 24
    #: Days of the week on which reviewers work; Monday is 0.
    days: frozenset[int] = frozenset(range(5))
    #: When they begin and end, in minutes after midnight.
    opens: int = 8 * 60
    closes: int = 18 * 60
    #: Out of hours a shift supervisor decides; if not, it waits, and the clock stands still.
    supervisors: bool = True
    #: People are reminded so many hours before.
    remind: int = 4
    #: A second opinion can be asked for within so many days.
    again: int = 7

    def open_at(self, at: Ms) -> bool:
        """Say whether reviewers work at *at*."""
        local = datetime.datetime.fromtimestamp(at / 1000, self.zone)
        minute = local.hour * 60 + local.minute
        return local.weekday() in self.days and self.opens <= minute < self.closes

    def due(self, at: Ms) -> Ms:
        """By when an appeal that is raised at *at* is answered."""
        left = self.answer * HOUR_MS
        if self.supervisors:
            return Ms(at + left)
        day = datetime.datetime.fromtimestamp(at / 1000, self.zone).date()
        while True:
            begin, end = self._day(day, self.opens), self._day(day, self.closes)
            if day.weekday() in self.days and at < end:
                at = max(at, begin)
                if end - at >= left:
                    return Ms(at + left)
                left -= end - at
            day += datetime.timedelta(days=1)

    def _day(self, day: datetime.date, minute: int) -> Ms:
        hours, minutes = divmod(minute, 60)
        if hours == 24:
            day, hours = day + datetime.timedelta(days=1), 0
        local = datetime.datetime.combine(day, datetime.time(hours, minutes), self.zone)
        return Ms(int(local.timestamp() * 1000))

    def remind_at(self, at: Ms, due: Ms) -> Ms:
        """When people are reminded of what was raised at *at*: not before half of its time."""
        return Ms(max(due - self.remind * HOUR_MS, at + (due - at) // 2))

    def again_until(self, at: Ms) -> Ms:
        """Until when a second opinion on what was decided at *at* can be asked for."""
        return Ms(at + self.again * 24 * HOUR_MS)

    def say(self, at: Ms) -> str:
        """Spell a time as officers read it: 12:00 on Mon 23 Nov."""
        local = datetime.datetime.fromtimestamp(at / 1000, self.zone)
        return f"{local:%H:%M on %a} {local.day} {local:%b}"
