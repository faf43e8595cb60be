package schedule

import (
	"log/slog"
	"testing"
	"testing/synctest"
)

// What the bucket says late of a schedule that was removed since does not bring it back: not for a moment, in which it would be
// listed, refuse another of its name, or make a job.
func TestARemovedScheduleStaysRemoved(t *testing.T) {
	bubble(t, func(b *bed) {
		k, err := openBook(b.soon(), b.js, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer k.watch.Stop() //nolint:errcheck // the connection ends with the test
		d := Definition{Name: "s", Cron: "@every 1s", Type: "bash", Script: "true", Source: FromCommand}
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		late := func() {
			t.Helper()
			for {
				synctest.Wait()
				select {
				case u := <-k.watch.Updates():
					k.fold(u)
					if n := k.names(); len(n) > 0 {
						t.Fatalf("%v is there again after %s %d", n, u.Key(), u.Revision())
					}
				default:
					return
				}
			}
		}
		for range 2 {
			if err := k.putDef(b.soon(), d); err != nil {
				t.Fatal(err)
			}
			if err := k.putRun(b.soon(), k.find("s"), Progress{Fired: 1}); err != nil {
				t.Fatal(err)
			}
			if err := k.remove(b.soon(), k.find("s")); err != nil {
				t.Fatal(err)
			}
			late()
		}
		if len(k.entries)+len(k.removed) > 0 {
			t.Errorf("left: %v %v", k.entries, k.removed)
		}
	})
}
