package store

import (
	"fmt"
	"testing"
	"time"
)

// settled lets the daemon take what has ended out of the log.
func (b *bed) settled() {
	b.Helper()
	must[int](b)(b.d.Settle(b.ctx(), b.ended(1000)))
}

// later lets the time of all results be over that go in the meantime.
func (b *bed) later(d time.Duration) int {
	b.Helper()
	k := b.s.keys.results().name
	for _, z := range must[[]zType](b)(b.s.rdb.ZRangeWithScores(b.ctx(), k, 0, -1).Result()) {
		b.s.rdb.ZIncrBy(b.ctx(), k, -float64(d.Milliseconds()), z.Member.(string))
	}
	return must[int](b)(b.d.ForgetResults(b.ctx()))
}

var resultCases = map[string]func(b *bed){
	"there is none": func(b *bed) {
		if n := must[int](b)(b.d.ForgetResults(b.ctx())); n != 0 {
			b.Error(n)
		}
	},
}

// Results that go before their records.
func TestResultsAreForgotten(t *testing.T) {
	t.Parallel()
	minute := time.Minute
	eachServer(t, func(t *testing.T, srv *server) {
		for _, c := range []struct {
			name         string
			setting, own *time.Duration
			late, gone   time.Duration // not gone then, and gone
		}{
			{"the setting", &minute, nil, 55 * time.Second, 10 * time.Second},
			{"the job's own word", nil, &minute, 55 * time.Second, 10 * time.Second},
			{"none", &minute, new(time.Duration), 5 * time.Second, 10 * time.Second},
			{"longer than the record is as the record", nil, new(100 * time.Hour), 200 * time.Hour, 0},
			{"not said", nil, nil, 200 * time.Hour, 0},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBedOn(t, srv, srv.open(t, func(o *Options) { o.KeepResult = c.setting }))
				a := b.actor("p_1", "i1")
				b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 1, KeepResult: c.own})
				b.finish(a, b.take(a), false)
				b.settled()
				if n := b.later(c.late); n != 0 || b.record("j1").Output == "" {
					t.Errorf("%d forgotten too early", n)
				}
				if c.gone == 0 {
					return
				}
				b.later(c.gone)
				r := b.record("j1")
				if r.Output != "" || r.ForgotAt.IsZero() || r.Status != StatusFinished || r.Script != "x" || b.ttl(b.s.keys.job("j1").name) <= 0 {
					t.Errorf("%+v", r)
				}
				if n := b.s.rdb.Exists(b.ctx(), b.s.keys.reply("j1").name, b.s.keys.results().name).Val(); n != 0 {
					t.Error("its reply is left, or its place among the results")
				}
				b.wantCode(b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 10, Again: true})[0].Code, OK)
				if r := b.record("j1"); !r.ForgotAt.IsZero() {
					t.Errorf("%+v", r)
				}
			})
		}
	})
}

func TestWhoseResultsAreForgotten(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, srv *server) {
		s := srv.open(t, func(o *Options) { o.KeepResult, o.Done = new(time.Duration), 3 })
		t.Run("a failed job keeps its reason, a dead one its error", func(t *testing.T) {
			b := newBedOn(t, srv, s)
			a := b.actor("p_1", "i1")
			b.withRetries("j1", 1, 0)
			b.fails(a, b.take(a), "exit 3")
			b.withRetries("j2", 2, 1)
			for range 2 {
				b.promote()
				b.fails(a, b.take(a), "exit 3")
			}
			b.settled()
			if n := b.later(time.Minute); n != 1 {
				t.Errorf("%d forgotten", n)
			}
			if r := b.record("j1"); r.Error != "" || r.Output != "" || r.Reason != "exit 3" || r.ExitCode != "3" {
				t.Errorf("%+v", r)
			}
			if r := b.record("j2"); r.Error == "" || !r.ForgotAt.IsZero() {
				t.Errorf("%+v", r)
			}
		})
		t.Run("one that runs again meanwhile, and one in no log", func(t *testing.T) {
			b := newBedOn(t, srv, s)
			a := b.actor("p_1", "i1")
			b.job("j1", 1)
			b.finish(a, b.take(a), false)
			b.settled()
			b.wantCode(b.again("j1", 9).Code, OK)
			b.finish(a, b.take(a), false)
			b.accept(Submission{ID: "j2", Type: "sh", Script: "x"})
			b.finish(a, b.take(a), false)
			b.later(time.Minute)
			if r := b.record("j1"); r.Output == "" {
				t.Errorf("%+v", r)
			}
			if r := b.record("j2"); r.Output != "" || r.ForgotAt.IsZero() {
				t.Errorf("%+v", r)
			}
		})
		t.Run("their list is no longer than that of records", func(t *testing.T) {
			b := newBedOn(t, srv, s)
			a := b.actor("p_1", "i1")
			for i := range 20 {
				b.job(fmt.Sprint("j", i), uint64(i+1))
				b.finish(a, b.take(a), false)
			}
			b.settled()
			if n := b.s.rdb.ZCard(b.ctx(), b.s.keys.results().name).Val(); n != 3 {
				t.Errorf("%d results", n)
			}
			if r := b.record("j19"); r.Output == "" {
				t.Errorf("%+v", r)
			}
		})
	})
}
