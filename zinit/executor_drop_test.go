package zinit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"herosup/zinit/wire"
)

// Who is told to end in the middle of a removal ends that first. Who is killed there leaves a service
// that is listed, and can be removed: one that is forgotten and whose file is there is in nobody's list, and
// started by the next zinit.
func TestDropIsNotLeftInItsMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPeer(t, func(r wire.Request) (string, bool) {
		if r.Method == "service_delete" {
			cancel()
		}
		return answered(r, `{}`), false
	})
	z := NewClient(p.socket, Options{Dialect: JSONRPC})
	t.Cleanup(z.Close)
	err := drop(ctx, z, "x", nil)
	if calls := p.seen(); err != nil || !slices.Equal(calls[len(calls)-2:], []string{"service_delete", "service_forget"}) {
		t.Errorf("%v; called: %q", err, calls)
	}
}

// A service whose stop came to nothing keeps its file: without one the next zinit would not know its process. Nor has
// one that somebody has started meanwhile.
func TestWhatMayRunKeepsItsFile(t *testing.T) {
	for name, up := range map[string]bool{"zinit goes away in a stop": false, "somebody starts it": true} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, func(r wire.Request) (string, bool) {
				switch {
				case r.Method == "service_create":
					return failed(r, `{"code":-32007,"message":"it is there"}`), false
				case r.Method == "service_status" && up:
					return answered(r, `{"name":"x","pid":0,"state":"Unknown","target":"Up","after":{}}`), false
				case r.Method == "service_status":
					return answered(r, `{"name":"x","pid":0,"state":"Unknown","target":"Down","after":{}}`), false
				case r.Method == "service_stop" && !up:
					return "", true
				case r.Method == "service_forget" && up:
					return failed(r, `{"code":-32002,"message":"it is up"}`), false
				}
				return answered(r, `{}`), false
			})
			z := NewClient(p.socket, Options{Dialect: JSONRPC})
			t.Cleanup(z.Close)
			x := &Executor{cfg: ExecutorConfig{Client: z}}
			_, err := x.bringUp(t.Context(), "x", Service{Exec: []string{"true"}})
			if up && !errors.Is(err, ServiceIsUp) || !up && !errors.Is(err, ErrUnanswered) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if calls := p.seen(); slices.Contains(calls, "service_delete") {
				t.Errorf("called: %q", calls)
			}
		})
	}
}
