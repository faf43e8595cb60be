package embedded

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// The history is written late, in a folder of an older daemon as it was made; either comes back whole after a stop.
func TestHistoryIsWrittenLate(t *testing.T) {
	for name, older := range map[string]bool{"new folder": false, "older daemon's": true} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir()}
			s := start(t, cfg)
			sys := system(t, s, "test")
			want := jetstream.AsyncPersistMode
			if older {
				want = jetstream.DefaultPersistMode
				if err := events.EnsureReplicas(ctx5(t), sys, 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := events.EnsureStreams(ctx5(t), sys); err != nil {
				t.Fatal(err)
			}
			const facts = 100
			for range facts {
				if err := sys.Publish(events.Resynchronised{Component: "test", Reason: "history"}); err != nil {
					t.Fatal(err)
				}
			}
			sys.Close()
			s.Stop()

			s = start(t, cfg)
			js, err := jetstream.New(system(t, s, "test").Conn())
			if err != nil {
				t.Fatal(err)
			}
			have, err := js.Stream(ctx5(t), events.EventsStream)
			if err != nil {
				t.Fatal(err)
			}
			if i := have.CachedInfo(); i.Config.PersistMode != want || i.State.Msgs != facts {
				t.Errorf("%s, %d facts, want %s and %d", i.Config.PersistMode, i.State.Msgs, want, facts)
			}
			if log, err := js.Stream(ctx5(t), events.JobsStream); err != nil || log.CachedInfo().Config.PersistMode != jetstream.DefaultPersistMode {
				t.Errorf("the log of jobs must be written at once: %v", err)
			}
		})
	}
}
