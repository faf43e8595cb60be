package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// hearing is a log that says when a line has come that holds some words.
type hearing struct {
	slog.Handler
	words string
	heard chan struct{}
}

func (h hearing) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(fmt.Sprint(a.Value), h.words) {
			select {
			case h.heard <- struct{}{}:
			default:
			}
		}
		return true
	})
	return nil
}

// A disk that took nothing for a while does not end the log of jobs: what was acknowledged is there, and more is taken.
func TestTheStoreOpensAgainWhenTheDiskTakesSomething(t *testing.T) {
	log := hearing{slog.NewTextHandler(t.Output(), nil), "critical write error", make(chan struct{}, 1)}
	s := start(t, Config{Log: slog.New(log)})
	b := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), b); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	script := []byte(strings.Repeat("#", 8<<10))
	if _, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", script); err != nil {
		t.Fatal(err)
	}

	// Files may not become larger than what the log has, which is as good as a disk that is full.
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	full := before
	full.Cur = uint64(len(script))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before) //nolint:errcheck // it is the process' own
	if err := b.Conn().Publish("hero.cmd.job.submit.bash", script); err != nil {
		t.Fatal(err)
	}
	select {
	case <-log.heard:
	case <-ctx5(t).Done():
		t.Fatal("no write failed")
	}
	if writable(s.cfg.Dir) == nil || s.storeFault() == "" {
		t.Errorf("the disk is not full (%v), or the store does not mind (%q)", writable(s.cfg.Dir), s.storeFault())
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}

	for end := time.Now().Add(20 * time.Second); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := js.Publish(ctx, "hero.cmd.job.submit.bash", script, jetstream.WithMsgID("again"))
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the log takes nothing, though the disk would: %v", err)
		}
	}
	stream, err := js.Stream(ctx5(t), events.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("the log has %d, want the one from before and the one from behind", n)
	}
	if f := s.storeFault(); f != "" {
		t.Errorf("still: %s", f)
	}
}
