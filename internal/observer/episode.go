package observer

import (
	"math"
	"time"
)

// instant is a time in milliseconds since 1970, and small, as states are many. 0 is no time.
type instant int64

func toInstant(t time.Time) instant {
	if ms := t.UnixMilli(); ms != 0 {
		return instant(ms)
	}
	return 1
}

// orZero is the zero time where there is none.
func (i instant) orZero() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return i.time()
}

func (i instant) time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// since is at most some 292 years, what a Duration holds.
func (i instant) since(earlier instant) time.Duration {
	const most = instant(math.MaxInt64 / int64(time.Millisecond))
	return time.Duration(min(max(i-earlier, -most), most)) * time.Millisecond
}

// episode is what a monitor remembers of one model beside its rules.
type episode struct {
	runs     bool     // as many rules hold as must
	severity Severity // the worst that was told in the running episode; empty: nothing yet, as in a cool-down
	told     instant  // when something was told last
	said     Severity // what it was then
	newest   instant  // time of the newest report that was judged
	arrived  instant  // when the last report was stored
	silent   bool     // that the model is stale was told
	missed   instant  // when that was told last
	late     uint64   // reports that were too old to be judged
}

// arrive takes the time of a report and returns the time to judge it by, which never runs backwards, and whether the
// report is too old to be judged: it would end an episode that it knows nothing of. A clock that is ahead would make
// all later reports late, so no report is newer than its arrival.
func (e *episode) arrive(r Report, lateAfter time.Duration) (now instant, late bool) {
	measured, stored := r.Time, r.Stored
	if stored.IsZero() {
		stored = measured
	}
	if measured.IsZero() || measured.After(stored) {
		measured = stored
	}
	e.arrived, e.silent = toInstant(stored), false
	now = toInstant(measured)
	if e.newest != 0 && e.newest.since(now) > lateAfter {
		e.late++
		return now, true
	}
	if e.newest == 0 || now > e.newest {
		e.newest = now
	}
	return e.newest, false
}

// goesOn tells whether an episode runs, given whether enough rules hold.
func (e *episode) goesOn(hold bool, now instant) bool {
	if e.runs != hold {
		e.runs, e.severity = hold, ""
	}
	return hold
}

// speaks decides whether a report that shows a degraded metric is told: at the beginning of an episode, unless
// something as bad was told less than a cool-down ago; when it gets worse; and in intervals, if the policy wants that.
func (e *episode) speaks(shown Severity, now instant, p *Policy) bool {
	if shown == "" {
		return false
	}
	passed := func(d time.Duration) bool { return e.told == 0 || now.since(e.told) >= d }
	switch {
	case e.severity == "" && !passed(p.CoolDown) && !shown.worse(e.said):
		return false
	case e.severity == "", shown.worse(e.severity):
	case p.Repeat > 0 && passed(p.Repeat):
	default:
		return false
	}
	if shown.worse(e.severity) {
		e.severity = shown
	}
	e.told, e.said = now, shown
	return true
}
