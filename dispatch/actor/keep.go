package actor

import (
	"maps"
	"slices"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// keep says to a Redis that was rebuilt what we hold since an earlier epoch: jobs at work, those that wait for a slot, and ends
// that were not told. What stays ours goes on under its new token; what another has by now is dropped.
func (l *loop) keep(epoch uint64) error {
	jobs, settle := l.inHandSince()
	var codes []store.Code
	var code store.Code
	err := l.link.repeat(l.until(), false, func() (err error) {
		codes, code, err = l.redis.Assert(l.last, jobs)
		return err
	})
	switch {
	case err != nil:
		return err
	case code == store.Unregistered:
		return store.ErrNoEpoch // flushed once more since the hello
	case code != store.OK:
		return unexpected("assert", code)
	}
	l.waiting, l.results = nil, nil
	for i, code := range codes {
		settle[i](epoch, code == store.OK)
	}
	return nil
}

// inHandSince lists what we hold, with what is to be done about each when it is known whether it stays ours.
func (l *loop) inHandSince() (jobs []store.InHand, settle []func(epoch uint64, ours bool)) {
	add := func(j store.Claimed, ran time.Duration, f func(epoch uint64, ours bool)) {
		jobs, settle = append(jobs, store.InHand{Claimed: j, Ran: ran}), append(settle, f)
	}
	// The oldest first, as they stand in Redis: if we die, what was first is first again.
	byAge := func(a, b *slot) int { return a.begun.Compare(b.begun) }
	for _, s := range slices.SortedFunc(maps.Values(l.running), byAge) {
		if s.lost {
			continue
		}
		h := holdOf(s.job)
		add(s.job, time.Since(s.begun), func(epoch uint64, ours bool) {
			if !ours {
				s.end(ErrLost)
				return
			}
			delete(l.running, h)
			s.job.Token.Epoch = epoch
			s.epoch.Store(epoch)
			l.running[holdOf(s.job)] = s
			l.recordAgain(s)
		})
	}
	for _, j := range l.waiting {
		add(j, 0, func(epoch uint64, ours bool) {
			if ours {
				j.Token.Epoch = epoch
				l.waiting = append(l.waiting, j)
			}
		})
	}
	for _, r := range l.results {
		add(r.Job, 0, func(epoch uint64, ours bool) {
			if !ours {
				l.drop(r.Job, "redis was rebuilt while it ran")
				return
			}
			r.Job.Token.Epoch = epoch
			l.results = append(l.results, r)
		})
	}
	return jobs, settle
}

// group is the process group of a job's script, as it was recorded.
type group struct {
	pgid   int
	leader events.Incarnation
}

// recordAgain tells the new Redis of a script's process group, so that our death would not leave it behind. Not repeated: the script
// ends with us in any case but the rarest.
func (l *loop) recordAgain(s *slot) {
	g := s.group.Load()
	if g == nil {
		return
	}
	if _, err := l.redis.RecordGroup(l.last, s.job, g.pgid, g.leader.Start); err != nil {
		l.log.Warn("record a script's process group again", "job", s.job.ID, "err", err)
	}
}
