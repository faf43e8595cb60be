package store

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/redistest"
)

func openURL(t *testing.T, url, prefix string) *Store {
	t.Helper()
	s, err := Open(Options{URL: url, Prefix: prefix}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A blocked wait follows the failover, whether the master died or only stopped answering: the wait on the old master ends
// at once and not after its minute, and a message that the new one has wakes the actor.
func TestBlockedWaitFollowsFailover(t *testing.T) {
	t.Parallel()
	redistest.Have(t)
	for name, fall := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "frozen": (*redistest.Server).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := redistest.StartSentinels(t)
			s := openURL(t, f.URL(), "")
			ctx := t.Context()
			if _, _, err := s.RaiseEpoch(ctx, 1); err != nil {
				t.Fatal(err)
			}
			a, err := s.Actor("p_1", "sh", "i1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Hello(ctx); err != nil {
				t.Fatal(err)
			}
			began := make(chan struct{})
			woken := make(chan Wake)
			go func() {
				close(began)
				for ctx.Err() == nil {
					w, err := a.WaitWake(ctx, time.Minute)
					if err != nil { // as an actor does, the pause too
						select {
						case <-time.After(50 * time.Millisecond):
						case <-ctx.Done():
						}
						continue
					}
					woken <- w
					return
				}
			}()
			<-began
			c := f.Servers[0].Client()
			defer c.Close()
			redistest.Until(t, "it is blocked", func() bool { return strings.Contains(c.Info(ctx, "clients").Val(), "blocked_clients:1") })
			fall(f.Servers[0])
			f.Writable(f.Servers[1])
			writable := time.Now()
			d := s.Daemon(1)
			redistest.Until(t, "the new master takes a message", func() bool {
				_, err := d.Ping(ctx, "p_1", "n1")
				return err == nil
			})
			select {
			case w := <-woken:
				if took := time.Since(writable); w.Kind != WakePing || took > 5*time.Second {
					t.Errorf("%+v, %v after the new master could be written to", w, took)
				}
			case <-time.After(redistest.Patience):
				t.Error("still blocked at the old master")
			}
		})
	}
}

// The whole contract of a job on three masters, all keys in one slot; another prefix is refused.
func TestCluster(t *testing.T) {
	t.Parallel()
	redistest.Have(t)
	url, all := redistest.StartCluster(t, 3)
	_, err := Open(Options{URL: url}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "{hero}") {
		t.Errorf("a prefix without a hash tag: %v", err)
	}
	s := openURL(t, url, "{hero}")
	b := newBedOn(t, &server{name: "cluster", url: url}, s)
	srv := must[Server](b)(s.CheckServer(b.ctx()))
	if srv.Version == "" {
		t.Errorf("%+v", srv)
	}
	a := b.actor("p_1", "i1")
	b.wantCode(b.claim(a).Code, Idle)
	got := make(chan Wake, 1)
	go func() {
		w, err := a.WaitWake(b.ctx(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		got <- w
	}()
	b.job("j1", 1)
	if w := <-got; w.Kind != WakeJob || w.Job.ID != "j1" {
		t.Errorf("%+v", w)
	} else {
		b.wantCode(b.finish(a, *w.Job, true).Code, OK)
	}
	b.job("j2", 2)
	page := must[JobsPage](b)(s.Jobs(b.ctx(), 0))
	seen := len(page.Jobs)
	for page.Next != 0 {
		page = must[JobsPage](b)(s.Jobs(b.ctx(), page.Next))
		seen += len(page.Jobs)
	}
	if seen != 2 {
		t.Errorf("%d jobs listed, want 2", seen)
	}
	if batch := must[FactBatch](b)(s.ReadFacts(b.ctx(), "0-0", 0)); len(batch.Facts) == 0 || batch.Lost {
		t.Errorf("%+v", batch)
	}
	full := 0
	for _, one := range all {
		c := one.Client()
		if c.DBSize(b.ctx()).Val() > 0 {
			full++
		}
		_ = c.Close()
	}
	if full != 1 {
		t.Errorf("%d of 3 masters have keys, want 1", full)
	}
}
