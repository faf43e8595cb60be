package dispatch

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

// A reading that is given up in the middle leaves nothing behind, and the next goes on where it stopped.
func TestTheDeadAreReadOnFromWhereItStopped(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c := b.fresh()
	c.js = b.js
	if err := c.openDead(b.soon()); err != nil {
		t.Fatal(err)
	}
	const n = 600 // more than the library holds ready
	for i := range n {
		value, err := deadRecord{V: 1, ID: "j" + numeral(i)}.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.deadKV.Put(b.soon(), "j"+numeral(i), value); err != nil {
			t.Fatal(err)
		}
	}
	before := goleak.IgnoreCurrent()
	enough := errors.New("enough")
	var at uint64
	if err := c.eachDead(context.Background(), 0, func(_ deadRecord, _ int, revision uint64) error {
		at = revision
		b.eventually("the library waits for who reads", func() bool {
			all := make([]byte, 1<<20)
			for g := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
				if strings.Contains(g, "[chan send") && strings.Contains(g, "WatchFiltered") {
					return true
				}
			}
			return false
		})
		return enough
	}); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	var rest []string
	if err := c.eachDead(context.Background(), at+1, func(d deadRecord, _ int, _ uint64) error {
		rest = append(rest, d.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(rest) != n-1 || rest[0] != "j1" {
		t.Errorf("%d more, from %s on", len(rest), rest[0])
	}
}

// deadKey is an entry of which nothing is asked.
type deadKey struct{ jetstream.KeyValueEntry }

// What bounds the reading is silence, not the number of the dead and not the time that Redis takes with each.
func TestTheReadingOfTheDeadIsBoundedBySilence(t *testing.T) {
	for name, tt := range map[string]struct {
		entries int
		pause   time.Duration // before each
		work    time.Duration // with each
		good    bool
	}{
		"many":      {10_000, callTimeout / 2, 0, true},
		"slow work": {10, 0, 10 * callTimeout, true},
		"silence":   {1, callTimeout + 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				silence := time.AfterFunc(callTimeout, func() { cancel(errors.New("silence")) })
				updates := make(chan jetstream.KeyValueEntry, tt.entries+1)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for range tt.entries {
						<-time.After(tt.pause)
						updates <- deadKey{}
					}
					updates <- nil
				}()
				seen := 0
				err := eachEntry(ctx, updates, silence, func(jetstream.KeyValueEntry) error {
					seen++
					<-time.After(tt.work)
					return nil
				})
				<-sent
				if (err == nil) != tt.good || tt.good && seen != tt.entries {
					t.Errorf("%d read: %v", seen, err)
				}
			})
		})
	}
}
