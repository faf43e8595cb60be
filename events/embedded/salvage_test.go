package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// The log of jobs has them all when the file that describes it has gone bad: NATS does not know such a stream any more.
func TestTheLogOutlivesItsDescription(t *testing.T) {
	for name, spoil := range map[string]func(folder string) error{
		"empty description":   func(f string) error { return os.Truncate(filepath.Join(f, "meta.inf"), 0) },
		"lost description":    func(f string) error { return os.Remove(filepath.Join(f, "meta.inf")) },
		"lost checksum of it": func(f string) error { return os.Remove(filepath.Join(f, "meta.sum")) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir()}
			log := func() (*Server, jetstream.JetStream, jetstream.StreamState) {
				t.Helper()
				s, js := withStreams(t, cfg)
				have, err := js.Stream(ctx5(t), events.JobsStream)
				if err != nil {
					t.Fatal(err)
				}
				return s, js, have.CachedInfo().State
			}
			s, _, fresh := log()
			s.Stop()
			s, js, again := log()
			if again.LastSeq != fresh.LastSeq {
				t.Errorf("an empty log was at %d, and is at %d after a start", fresh.LastSeq, again.LastSeq)
			}
			const most = 1 << 40 // milliseconds: the clock's
			if fresh.LastSeq < most {
				t.Errorf("a new log begins behind %d, and not at the clock", fresh.LastSeq)
			}
			var last uint64
			for range 3 {
				a, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("true"))
				if err != nil {
					t.Fatal(err)
				}
				last = a.Sequence
			}
			s.Stop()
			if err := spoil(filepath.Join(cfg.Dir, "jetstream", systemAccount, "streams", events.JobsStream)); err != nil {
				t.Fatal(err)
			}

			s, js, have := log()
			if have.Msgs != 3 || have.LastSeq != last {
				t.Errorf("%d jobs up to %d, want 3 up to %d", have.Msgs, have.LastSeq, last)
			}
			if a, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("true")); err != nil || a.Sequence != last+1 {
				t.Errorf("the next: %+v, %v", a, err)
			}
			s.Stop()
			if _, _, have = log(); have.Msgs != 4 {
				t.Errorf("%d jobs after another start, want 4", have.Msgs)
			}
		})
	}
}

// A first start that was killed when the log was made, and did not begin at the clock yet, is gone on with.
func TestTheLogThatWasHalfMade(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	b := system(t, s, "test")
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx5(t), jetstream.StreamConfig{
		Name: events.JobsStream, Subjects: []string{"hero.log.none"}, Storage: jetstream.FileStorage, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	if err := events.EnsureStreams(ctx5(t), b); err != nil {
		t.Fatal(err)
	}
	if a, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("true")); err != nil || a.Sequence < 1<<40 {
		t.Errorf("the first: %+v, %v", a, err)
	}
}

// A log that a power cut has left nothing of begins at the clock once more, or its numbers would be those of jobs that Redis has had.
func TestTheLogThatHasLostAllItHad(t *testing.T) {
	for name, spoil := range map[string]func(block string) error{
		"empty": func(block string) error { return os.Truncate(block, 0) },
		"zeros": func(block string) error {
			info, err := os.Stat(block)
			if err != nil {
				return err
			}
			return os.WriteFile(block, make([]byte, info.Size()), 0o600)
		},
		"gone": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir()}
			_, js := withStreams(t, cfg)
			var last uint64
			for range 3 {
				a, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("true"))
				if err != nil {
					t.Fatal(err)
				}
				last = a.Sequence
			}
			cut := Config{Dir: t.TempDir()} // as the disk is, while the server runs
			if err := os.CopyFS(cut.Dir, os.DirFS(cfg.Dir)); err != nil {
				t.Fatal(err)
			}
			blocks, err := filepath.Glob(filepath.Join(cut.Dir, "jetstream", systemAccount, "streams", events.JobsStream, "msgs", "*.blk"))
			if err != nil || len(blocks) == 0 {
				t.Fatal(blocks, err)
			}
			for _, block := range blocks {
				if err := spoil(block); err != nil {
					t.Fatal(err)
				}
			}
			_, js = withStreams(t, cut)
			if a, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", []byte("true")); err != nil || a.Sequence <= last {
				t.Errorf("the next: %+v, %v; the last was %d", a, err, last)
			}
		})
	}
}

// withStreams starts a server that has the streams.
func withStreams(t *testing.T, cfg Config) (*Server, jetstream.JetStream) {
	t.Helper()
	s := start(t, cfg)
	b := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), b); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	return s, js
}
