package embedded

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// A start on a disk that has become nearly full, or whose store is deep, takes what the one before took.
func TestTheStoresLimitCountsWhatItHas(t *testing.T) {
	const m = 1 << 20
	for _, c := range []struct{ used, free, want int64 }{
		{0, 100 << 30, 8192 * m}, // a disk with room
		{0, 4096 * m, 2048 * m},
		{0, 60 * m, 512 * m}, // too little for the history alone
		{1100 * m, 700 * m, 1450 * m},
		{7000 * m, 8000 * m, 8192 * m},
	} {
		if got := storeLimit(c.used, c.free); got != c.want {
			t.Errorf("%d MiB stored, %d free: %d, want %d", c.used/m, c.free/m, got/m, c.want/m)
		}
	}

	cfg := Config{Dir: t.TempDir()}
	s := start(t, cfg)
	b := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), b); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	script := []byte(strings.Repeat("#", m))
	for range 3 {
		if _, err := js.Publish(ctx5(t), "hero.cmd.job.submit.bash", script); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	s.Stop()
	if n := stored(filepath.Join(cfg.Dir, "jetstream")); n < 3*m || n > 4*m {
		t.Errorf("%d bytes are stored, want those of three scripts", n)
	}
	// Its streams can be found again with the least that it may have.
	cfg.MaxStore = leastStore
	if err := events.EnsureStreams(ctx5(t), system(t, start(t, cfg), "test")); err != nil {
		t.Error(err)
	}
}
