package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/redistest"
)

// A connection that is made while a server reads its disk is looked at as any other: what is read may be an old copy.
func TestAConnectionOfAServerThatLoads(t *testing.T) {
	srv := redistest.Start(t, "--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
	b := newBed(t, &server{name: "real", url: srv.URL()})
	_, run, err := b.s.Bare().Vouched(b.ctx())
	if err != nil || b.s.Vouch(b.ctx(), run) != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		b.job(fmt.Sprintf("j%d", i), uint64(i+1))
	}
	srv.Snapshot()
	loads := make(chan error)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond) // of a hundred dials that fail go-redis makes a pause
		defer tick.Stop()
		for {
			<-tick.C
			_, err := b.s.Epoch(b.ctx())
			if err != nil && strings.Contains(err.Error(), "LOADING") || errors.Is(err, errUnvouched) || b.ctx().Err() != nil {
				loads <- err
				return
			}
		}
	}()
	srv.Restore()
	if err := <-loads; !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if epoch, err := b.s.Epoch(b.ctx()); !errors.Is(err, errUnvouched) && !errors.Is(err, ErrAway) {
		t.Errorf("a server that nobody vouches for says epoch %d: %v", epoch, err)
	}
}
