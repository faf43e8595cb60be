package dispatch

import (
	"context"
	"errors"
	"testing"
	"time"

	"herosup/events"
)

// Started and stopped again and again, at every moment, it ends each time, and
// leaves nothing behind (goleak, in TestMain).
func TestStartAndStop(t *testing.T) {
	b := newBed(t, miniRedis(t))
	for i := range 30 {
		cfg := b.cfg
		cfg.Store = b.store
		c, err := New(cfg, b.connect("dispatch"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		if i%3 == 0 {
			<-c.Ready()
		} else {
			time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		case <-time.After(patience):
			t.Fatalf("round %d: Run did not end", i)
		}
	}
}

// Without its stream it says so.
func TestRunWithoutAStream(t *testing.T) {
	b := newBed(t, miniRedis(t))
	if err := b.js.DeleteStream(b.soon(), events.JobsStream); err != nil {
		t.Fatal(err)
	}
	cfg := b.cfg
	cfg.Store = b.store
	c, err := New(cfg, b.connect("dispatch"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(b.soon()); err == nil {
		t.Error("ran without a log")
	}
	if _, _, _, err := Submit(b.soon(), b.js, "", "bash", []byte("x"), Options{}); !errors.Is(err, events.ErrNobody) {
		t.Errorf("submit without a log: %v", err)
	}
}

// Another component that missed something gets told anew what is so.
func TestOthersResynchronise(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	b.up()
	b.actor("bash_1", nil)
	expect(b, any1[events.ActorRegistered])
	b.publish(events.Resynchronised{Component: "fsm", Reason: "test"})
	expectNth(b, 2, any1[events.ActorRegistered])
	if n := count(b, func(e events.Resynchronised) bool { return e.Component == "dispatch" }); n != 0 {
		t.Error("it answers with a Resynchronised, which others would answer")
	}
}

// Bad submissions are told with a reason and leave the log; those around them run.
func TestRefusedSubmissionsAreTold(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		codes := map[uint64]string{}
		for i, c := range []struct {
			h      map[string][]string
			script string
			code   string
		}{
			{nil, "", "empty_script"},
			{one("Hero-Job-Id", "a.b"), "x", "bad_id"},
			{one("Hero-Timeout", "-1"), "x", "bad_header"},
			{one("Hero-Retries", "200"), "x", "bad_header"},
			{nil, "\xff", "bad_script"},
		} {
			codes[b.raw("bash", c.h, c.script)] = c.code
			b.submit("x", Options{ID: "good" + numeral(i)})
		}
		for seq, code := range codes {
			e := expect(b, func(e events.CommandRejected) bool { return e.Sequence == seq })
			if e.Code != code || e.Command != "job-submit" || e.On != "hero.cmd.job.submit.bash" || e.Hint == "" {
				t.Errorf("%+v, want %s", e, code)
			}
		}
		for i := range len(codes) {
			expect(b, func(e events.JobQueued) bool { return e.Job == "good"+numeral(i) })
		}
		b.eventually("the refused are gone", func() bool { return b.logged() == uint64(len(codes)) })
	})
}
