package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
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

// alone runs the test in a process of its own, and reports whether this is it: what fill does holds for the whole
// process, and go test writes files of its own in it.
func alone(t *testing.T) bool {
	t.Helper()
	const mark = "HEROSUP_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// fill lets no file become larger than that until free is called, which is as good as a disk that is full.
func fill(t *testing.T, bytes uint64) (free func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	full := before
	full.Cur = bytes
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	free = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(free)
	return free
}

// A first start that found the disk full is followed by one that finds room.
func TestAFirstStartWithoutRoomSpoilsNone(t *testing.T) {
	if !alone(t) {
		return
	}
	cfg := Config{Dir: t.TempDir()}
	free := fill(t, 0)
	s, err := Start(cfg)
	if err == nil {
		s.Stop()
		t.Fatal("it started on a full disk")
	}
	t.Log(err)
	free()
	role(t, start(t, cfg), Operator)
}

// A disk that took nothing for a while does not end the log of jobs: what was acknowledged is there, and more is taken.
func TestTheStoreOpensAgainWhenTheDiskTakesSomething(t *testing.T) {
	if !alone(t) {
		return
	}
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

	next := hears(t, b)
	free := fill(t, uint64(len(script)))
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
	if e, is := next().(events.LogLost); !is || e.Reason == "" {
		t.Errorf("told %+v", e)
	}
	free()

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
	if e, is := next().(events.LogBack); !is {
		t.Errorf("told %+v", e)
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

// hears gives what is told about the log from now on.
func hears(t *testing.T, b *events.Bus) (next func() events.Event) {
	t.Helper()
	sub, err := b.Subscribe("evt.system.>")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Unsubscribe)
	return func() events.Event {
		t.Helper()
		select {
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				t.Fatal(err)
			}
			return m.Event
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is told")
			return nil
		}
	}
}

// Before the disk is full the store refuses what comes, with an answer, and says why; with room it takes more.
func TestNothingIsStoredWithoutRoom(t *testing.T) {
	var room atomic.Int64
	room.Store(enoughRoom)
	real := freeRoom
	t.Cleanup(func() { freeRoom = real }) // behind the end of the server
	freeRoom = func(string) (int64, error) { return room.Load(), nil }
	s := start(t, Config{})
	b := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), b); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	publish := func() error {
		_, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("x"))
		return err
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	next := hears(t, b)
	room.Store(leastRoom - 1)
	if e, is := next().(events.LogLost); !is || !strings.Contains(e.Reason, "127 MiB") {
		t.Errorf("told %+v", e)
	}
	if err, is := errors.AsType[*jetstream.APIError](publish()); !is {
		t.Errorf("taken: %v", err)
	}
	room.Store(enoughRoom)
	if e, is := next().(events.LogBack); !is {
		t.Errorf("told %+v", e)
	}
	if err := publish(); err != nil {
		t.Error(err)
	}
}

// Who comes later hears it too: at a start with little room nobody listens yet, and a status would call the log good.
func TestAStoreWithoutRoomIsToldAgain(t *testing.T) {
	real := freeRoom
	t.Cleanup(func() { freeRoom = real }) // behind the end of the server
	freeRoom = func(string) (int64, error) { return leastRoom - 1, nil }
	s := start(t, Config{})
	b := system(t, s, "test")
	if e, is := hears(t, b)().(events.LogLost); !is {
		t.Fatalf("told %+v", e)
	}
	if e, is := hears(t, b)().(events.LogLost); !is || e.Reason == "" {
		t.Errorf("told %+v", e)
	}
}

// A store that has all that it may have is told to take nothing, and to take something again when it has room.
func TestAFullStoreIsTold(t *testing.T) {
	s := start(t, Config{MaxStore: 3 << 20})
	b := system(t, s, "test")
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(ctx5(t), jetstream.StreamConfig{Name: "TEST", Subjects: []string{"test"}})
	if err != nil {
		t.Fatal(err)
	}
	next := hears(t, b)
	for range 10 {
		_, err = js.Publish(ctx5(t), "test", make([]byte, 1<<20))
	}
	if err == nil {
		t.Fatal("the store has no bound")
	}
	if e, is := next().(events.LogLost); !is || !strings.Contains(e.Reason, "3 MiB") {
		t.Errorf("told %+v", e)
	}
	if err := stream.Purge(ctx5(t)); err != nil {
		t.Fatal(err)
	}
	if e, is := next().(events.LogBack); !is {
		t.Errorf("told %+v", e)
	}
}
