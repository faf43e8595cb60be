package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"herosup/dispatch"
	"herosup/dispatch/client"
	"herosup/dispatch/store"
	"herosup/events"
)

// The dead on a NATS server of one's own: kept, back after a FLUSHALL and after that server was killed, retried, and purged, and what holds for one
// holds until it has finished.
func TestTheDeadOnOnesOwnNATS(t *testing.T) {
	n := startNATS(t)
	r := newRigOn(t, n, "  bash: {min: 1, max: 1}\njobs: {retry_backoff: [10ms, 20ms]}\n")
	rdb := r.redis()
	gate := filepath.Join(t.TempDir(), "good")
	submit := func(id string, o client.Options) {
		t.Helper()
		o.ID = id
		if _, err := r.d.jobs.Submit(t.Context(), "bash", "[ -e "+gate+" ]", o); err != nil {
			t.Fatal(err)
		}
	}
	dead := func() (ids []string) {
		for j, err := range r.d.jobs.List(t.Context(), client.Filter{State: dispatch.StateDead}, nil) {
			if err != nil {
				return []string{err.Error()}
			}
			ids = append(ids, j.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := func(when string, ids ...string) {
		t.Helper()
		r.poll("the dead, "+when, func() bool { return slices.Equal(dead(), ids) })
	}
	status := func(id string) string {
		return rdb.HGet(context.WithoutCancel(t.Context()), "hero:job:"+id, "status").Val()
	}
	flushed := func(what string, done func() bool) {
		t.Helper()
		epoch := rdb.Get(t.Context(), "hero:epoch").Val()
		if err := rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		r.poll(what, func() bool {
			now := rdb.Get(t.Context(), "hero:epoch").Val()
			return now != "" && now != epoch && done()
		})
	}
	for _, id := range []string{"a", "b", "c"} {
		submit(id, client.Options{Retries: new(1)})
	}
	want("died", "a", "b", "c")
	submit("held", client.Options{Prerequisites: []store.Prerequisite{{ID: "a", Rule: store.RuleHold}}})
	r.poll("it holds, and the messages of the dead are gone", func() bool {
		return status("held") == string(store.StatusWaiting) && rdb.LLen(t.Context(), "hero:ended").Val() == 0
	})

	flushed("all is back", func() bool {
		return status("held") == string(store.StatusWaiting) && rdb.ZCard(t.Context(), "hero:dead").Val() == 3
	})
	want("redis emptied", "a", "b", "c")

	n.kill()
	n.start()
	want("nats killed", "a", "b", "c")
	r.poll("an answer of the daemon to commands", func() bool {
		_, err := r.d.bus.Conn().Request("$SRV.PING.dispatch", nil, time.Second)
		return err == nil
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.d.jobs.Retry(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	r.poll("what held for it has run", func() bool { return status("held") == string(store.StatusFinished) })
	want("one retried", "b", "c")
	if err := r.d.jobs.Remove(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	want("one removed", "c")
	flushed("the last is back", func() bool { return rdb.ZCard(t.Context(), "hero:dead").Val() == 1 })
	want("redis emptied again", "c")
	var a dispatch.PurgeAnswer
	if err := r.d.ask(t.Context(), events.JobPurge{}, &a); err != nil || a.Removed != 1 || a.Left != 0 {
		t.Errorf("purge: %+v %v", a, err)
	}
	want("purged")
	flushed("an epoch more", func() bool { return true })
	submit("last", client.Options{})
	r.poll("a job behind the refill", func() bool { return status("last") == string(store.StatusFinished) })
	want("purged, and redis emptied")
	for _, id := range []string{"a", "b", "c"} {
		if s := status(id); s != "" {
			t.Errorf("%s is %s", id, s)
		}
	}
}
