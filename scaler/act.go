package scaler

import (
	"runtime"
	"time"

	"herosup/events"
)

const (
	// tellPause bounds how often a pool's PoolDecided is published when only the
	// limiting rule changed: that can flip with each job.
	tellPause = time.Second
	// farAway is when the loop looks around with nothing due.
	farAway = time.Hour
)

// told is what was last published about a pool.
type told struct {
	want     int
	limiting string
	degraded string
	at       time.Time
}

// decide settles every pool that was touched or is due, in order, and returns
// when it must be called again at the latest.
func (s *Scaler) decide(now time.Time) time.Time {
	wake := now.Add(farAway)
	if !s.askAt.IsZero() && !s.asking && s.askAt.Before(wake) {
		wake = s.askAt
	}
	if s.over {
		return wake
	}
	if !s.open {
		if !(s.started && s.listed) && now.Before(s.settle) {
			return earlier(wake, s.settle)
		}
		s.open = true
		for _, name := range s.view.Names() {
			cause := s.touched[name] // none where no fact came yet
			s.touched[name] = cause
		}
	}
	for _, name := range s.view.Names() {
		cause, touched := s.touched[name]
		if due, ok := s.next[name]; touched || ok && !now.Before(due) {
			delete(s.touched, name)
			s.settlePool(name, cause, now)
		}
		if due, ok := s.next[name]; ok {
			wake = earlier(wake, due)
		}
	}
	return wake
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// settlePool decides one pool, asks for what follows and tells of it.
func (s *Scaler) settlePool(name string, cause events.Message, now time.Time) {
	snapshot, policy := s.view.Snapshot(name, now)
	d := Decide(snapshot, policy)
	s.view.apply(d, now)
	for _, actor := range d.Start {
		s.ask(actor, events.ActorStart{Actor: actor}, cause, now)
	}
	for _, actor := range d.Stop {
		s.ask(actor, events.ActorStop{Actor: actor, Reason: d.Reason}, cause, now)
	}
	next := d.Next
	if acts(d) {
		// Let the connection's writer send them now, before the explanation is
		// composed: a third less from submission to intent (BenchmarkReaction).
		runtime.Gosched()
		// What was asked for has a time of its own at which it no longer counts.
		snapshot, policy = s.view.Snapshot(name, now)
		next = Decide(snapshot, policy).Next
	}
	delete(s.next, name)
	if !next.IsZero() {
		s.next[name] = next
	}
	s.tell(d, cause, now)
}

// ask sends an intent. What could not be sent is as good as refused.
func (s *Scaler) ask(actor string, e events.Event, cause events.Message, now time.Time) {
	if err := s.bus.Publish(e, events.CausedBy(cause)); err != nil {
		s.log.Warn("send", "actor", actor, "event", events.KindOf(e).Name(), "err", err)
		s.view.refuse(actor, now)
	}
}

func acts(d Decision) bool { return len(d.Start)+len(d.Stop) > 0 }

// tell publishes the decision when it says something new.
func (s *Scaler) tell(d Decision, cause events.Message, now time.Time) {
	was, before := s.told[d.Pool]
	switch {
	case acts(d), !before, d.Want != was.want:
	case d.Limiting == was.limiting && d.Degraded == was.degraded:
		return
	default:
		// A rule that flips with each job is told at the end of the pause.
		if due := was.at.Add(tellPause); now.Before(due) {
			if next, ok := s.next[d.Pool]; !ok || due.Before(next) {
				s.next[d.Pool] = due
			}
			return
		}
	}
	s.told[d.Pool] = told{want: d.Want, limiting: d.Limiting, degraded: d.Degraded, at: now}
	s.publish(events.PoolDecided{
		Pool: d.Pool, Have: d.Have, Want: d.Want, Start: d.Start, Stop: d.Stop, Limiting: d.Limiting,
		Reason: d.Reason, Steps: d.Steps, Ready: d.Ready, InFlight: d.InFlight,
	}, cause)
	if d.Degraded != "" && d.Degraded != was.degraded {
		s.publish(events.PoolDegraded{Pool: d.Pool, Reason: d.Degraded}, cause)
	}
	if acts(d) {
		s.log.Info("pool decided", "pool", d.Pool, "reason", d.Reason)
	}
}
