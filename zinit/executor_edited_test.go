package zinit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// What somebody has made of an actor's file by hand is no other than ours to a restart, and no sign of a zinit that
// is away.
func TestExecutorRestartsOverAnEditedFile(t *testing.T) {
	for _, dialect := range []string{"json-rpc", "text"} {
		t.Run(dialect, func(t *testing.T) {
			b := dialectBeds[dialect](t)
			b.execute()
			life := b.up()
			file := filepath.Join(b.zinit.Dir, prefix+actor+".yaml")
			for _, text := range []string{"exec: sleep 'x\n", "exec: sleep 1\nsignal: {stop: NO}\n", "", "exec: [\n", "exec: {}\n"} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
				// The last start may be told again: by its order, when it was seen before.
				if got := expect[events.ProcessExited](b, events.ProcessStarted{}); got.Incarnation != life || !got.ByUs {
					t.Errorf("%q: exited: %+v, want %s", text, got, life)
				}
				life = expect[events.ProcessStarted](b).Incarnation
				if s, err := b.client.Get(t.Context(), prefix+actor); err != nil || s.Exec[1] != "say" {
					t.Errorf("%q: it runs %q, %v", text, s.Exec, err)
				}
			}
		})
	}
}

// An actor that runs is told when it is to be started, also where zinit can write no file for it; and one that
// does not is told with the reason.
func TestExecutorStartsWithoutAFolder(t *testing.T) {
	for _, dialect := range []zinit.Dialect{zinit.JSONRPC, zinit.Text} {
		t.Run(string(dialect), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "services")
			b := newBedOver(t, zinittest.StartIn(t, dir, filepath.Join(t.TempDir(), "z.sock")))
			if dialect == zinit.Text {
				b.options = zinit.Options{Dialect: dialect, Dir: dir}
			}
			b.execute()
			life := b.up()
			if err := os.Rename(dir, dir+"-away"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Rename(dir+"-away", dir) })
			b.order(b.startOrder())
			if got := expect[events.ProcessStarted](b); got.Incarnation != life {
				t.Errorf("started: %+v, want %s", got, life)
			}
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
			if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
				t.Errorf("exited: %+v, want %s", got, life)
			}
			b.order(b.startOrder())
			if got := expect[events.ProcessStartFailed](b); !strings.Contains(got.Reason, dir) || !strings.Contains(got.Reason, "no such file or directory (ServiceFileError)") {
				t.Errorf("start failed: %+v", got)
			}
		})
	}
}
